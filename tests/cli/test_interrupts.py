import os
import signal

import pytest

from sweeper.cli.interrupts import Interrupt, Interrupted, terminable


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_request_and_the_second_one_raises(number) -> None:
    with Interrupt() as interrupt:
        assert not interrupt.requested
        os.kill(os.getpid(), number)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_the_old_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupt():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_ends_a_forked_child() -> None:
    with Interrupt():
        pid = os.fork()
        if pid == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGTERM


def test_a_forked_child_ignores_ctrl_c() -> None:
    with Interrupt():
        pid = os.fork()
        if pid == 0:
            os.kill(os.getpid(), signal.SIGINT)
            os._exit(7)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 7


def test_each_signal_calls_its_function_once() -> None:
    calls = []
    with Interrupt(lambda: calls.append("first"), lambda: calls.append("second")):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert calls == ["first", "second"]


def test_a_signal_just_before_an_inner_context_is_a_request_there_too() -> None:
    calls = []
    with Interrupt() as outer:
        os.kill(os.getpid(), signal.SIGTERM)
        with Interrupt(lambda: calls.append("first")) as inner:
            assert (inner.requested, inner.number) == (True, signal.SIGTERM)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
    assert outer.requested
    assert calls == ["first"]


def test_a_worker_hears_of_a_signal_to_the_run_within_it() -> None:
    with Interrupt() as worker:
        with terminable(), Interrupt() as training:
            os.kill(os.getpid(), signal.SIGTERM)
        assert (worker.requested, worker.number) == (training.requested, training.number)
    with Interrupt() as worker:
        with pytest.raises(Interrupted) as caught, terminable():
            os.kill(os.getpid(), signal.SIGTERM)
        assert (worker.requested, caught.value.number) == (True, signal.SIGTERM)


def test_signals_of_one_event_are_one_request_after_an_inner_context_too() -> None:
    with Interrupt() as worker:
        with Interrupt():
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert (worker.requested, worker.number) == (True, signal.SIGTERM)


def test_a_run_does_not_begin_after_a_signal() -> None:
    with Interrupt() as worker:
        handler = signal.getsignal(signal.SIGTERM)
        worker.request(signal.SIGTERM)
        with pytest.raises(Interrupted), terminable():
            pytest.fail("it has begun")
        assert signal.getsignal(signal.SIGTERM) == handler
