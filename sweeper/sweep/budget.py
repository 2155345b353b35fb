"""The budget of a study: how many trials it may run, for how long, and with how many failures."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from sweeper.sweep.curve import is_paused, was_promoted
from sweeper.sweep.promotion import Halving, Promotion
from sweeper.sweep.stop_rule import StopRule, is_feasible

FAILURE_KEY = "failure"
# Set to True if every further trial would fail in the same way, so that the study ends.
FATAL_KEY = "sweeper:fatal"
# The number of the trial that had the same parameters before.
DUPLICATE_KEY = "duplicate_of"
# A trial of another study, from which the sampler learns. It counts nowhere.
IMPORTED_KEY = "sweeper:imported"
POINT_KEY = "sweeper:point"
# Sums over more threads round differently, so the number of threads is needed to repeat a trial.
THREADS_KEY = "sweeper:threads"
THREADS_VARIABLE = "OMP_NUM_THREADS"
# The values of the seeds of a trial with several ones, and their standard deviations.
REPEATS_KEY, DEVIATION_KEY = "repeats", "deviation"
SURPLUS = "surplus: the budget was already taken"
DONE = (TrialState.COMPLETE, TrialState.PRUNED)
FINISHED = (*DONE, TrialState.FAIL)
STATE_WORDS = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
EXHAUSTED = "the sampler found no point that the study does not have"


@dataclass(frozen=True)
class Budget:
    """Limits of a study and of the command that runs it.

    Args:
        n_trials: Number of complete, pruned and paused trials at which the study ends; None for no
            limit.
        exhaustive: True for a grid. `n_trials` is then the number of its points. A point whose
            trial failed is run again only by a later command.
        deadline: Time at which this command must end, in seconds since 1970.
        failed_before: Numbers of the trials that had failed when this command started.
        max_failure_rate: Fraction of `n_trials` that may fail under this command; None for no
            limit. Without `n_trials`, it is the fraction of the trials so far, or of the first 20.
        max_retries: Number of times in a row that a trial is run again because its worker died
            before the trial made progress.
        lease_seconds: Time after which a lease that was not renewed lapses.
        trial_seconds: Time after which an attempt at a trial fails; None for no limit.
        n_points: Number of points of a finite space, each of which is run once; None if the space
            is not known to be finite.
        stop: Rule that ends the study before its budget is spent, or None.
        promotion: Rule by which trials are paused and promoted, or None.
    """

    n_trials: int | None
    exhaustive: bool = False
    deadline: float | None = None
    failed_before: frozenset[int] = frozenset()
    max_failure_rate: float | None = None
    max_retries: int = 3
    lease_seconds: float = 60.0
    trial_seconds: float | None = None
    n_points: int | None = None
    stop: StopRule | None = None
    promotion: Promotion | None = None

    def counts(self, trial: FrozenTrial) -> bool:
        """Return whether a trial counts towards `n_trials`.

        Failed trials do not count. In a grid, those that failed under this command do. Trials of
        other studies never count.
        """
        if trial.state is not TrialState.FAIL:
            return is_own(trial)
        return self.exhaustive and bool(self.failed([trial]))

    def n_finished(self, trials: Sequence[FrozenTrial]) -> int:
        """Return the number of trials that count towards `n_trials` and do not run or wait to run.

        Of a grid, it is the number of their points. Paused trials count.
        """
        ended = [t for t in trials if t.state in FINISHED or self.is_paused(t)]
        finished = [t for t in ended if self.counts(t)]
        if self.exhaustive:
            return len({t.system_attrs.get(POINT_KEY) for t in finished})
        return len(finished)

    def failed(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the trials that failed under this command."""
        return failures(trials, self.failed_before)

    def too_many_failed(self, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether more trials failed under this command than `max_failure_rate` allows."""
        if self.max_failure_rate is None:
            return False
        n_failed = len(self.failed(trials))
        n_ended = n_failed + sum(t.state in DONE and is_own(t) for t in trials)
        allowed = self.max_failure_rate * (self.n_trials or max(20, n_ended))
        return n_failed > allowed + 1e-9  # 0.29 * 100 is a little less than 29

    @property
    def all_may_fail(self) -> bool:
        """True if no number of failures is an error."""
        return self.max_failure_rate is not None and self.max_failure_rate >= 1

    def only_failed(self, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether as many trials failed as were asked for, though all of them may fail."""
        if not self.all_may_fail or self.n_trials is None:
            return False
        return len(self.failed(trials)) >= self.n_trials

    def fatal(self, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
        """Return a trial whose failure under this command shows that every trial would fail.

        None if all of them may fail.
        """
        if self.all_may_fail:
            return None
        failed = self.failed(trials)
        return next((t for t in failed if t.user_attrs.get(FATAL_KEY)), None)

    def has_ended(self, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether the study has what was asked for, whatever command may come."""
        n_done = sum(self.is_done(t) for t in trials)
        has_all = self.n_trials is not None and n_done >= self.n_trials
        has_no_other = any(map(_found_no_point, trials))
        has_ended = has_all or has_no_other or self.stop_reason(trials) is not None
        return has_ended and self.next_promoted(trials) is None and not self.is_finishing(trials)

    def is_done(self, trial: FrozenTrial) -> bool:
        """Return whether the study's own trial is complete, pruned or paused."""
        return is_own(trial) and (trial.state in DONE or self.is_paused(trial))

    def is_paused(self, trial: FrozenTrial) -> bool:
        """Return whether a trial waits for its promotion; without the rule, none does."""
        return self.promotion is not None and is_paused(trial)

    def has_room(self, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether there is a trial to start, a new one or one that waits to be run."""
        may_begin = self.stop_reason(trials) is None and self.next_index(trials) is not None
        return may_begin or next(self.runnable(trials), None) is not None

    def runnable(self, trials: Sequence[FrozenTrial]) -> Iterator[FrozenTrial]:
        """Yield the trials that wait, are not paused, and may be run."""
        waiting = [t for t in trials if t.state == TrialState.WAITING and not self.is_paused(t)]
        return self.wanted(waiting, trials)

    def wanted(
        self, left: Sequence[FrozenTrial], trials: Sequence[FrozenTrial]
    ) -> Iterator[FrozenTrial]:
        """Yield those that may be run of the trials that workers have left, or have yet to begin.

        Promoted ones always may, since they counted before. If a command has lowered `n_trials`,
        there are more of the others than it asked for. Once the stop rule is met, none of them may.
        """
        yield from filter(self.is_promoted, left)
        others = [t for t in left if not self.is_promoted(t)]
        if others and not self.only_finishes(trials) and self._has_place(trials, others):
            yield from (t for t in others if self.admits(t, trials))

    def _has_place(self, trials: Sequence[FrozenTrial], left: Sequence[FrozenTrial]) -> bool:
        """Return whether the trials without those that workers have left are too few."""
        if self.exhaustive or self.n_trials is None:
            return True
        numbers = {t.number for t in left}
        unfinished = [t for t in trials if t.number not in numbers and not t.state.is_finished()]
        n_going = sum(t.state == TrialState.RUNNING or self.is_promoted(t) for t in unfinished)
        return self.n_finished(trials) + n_going < self.n_trials

    def is_promoted(self, trial: FrozenTrial) -> bool:
        """Return whether a trial was paused, promoted, and not paused again since.

        Without the rule, none is.
        """
        return self.promotion is not None and was_promoted(trial) and not is_paused(trial)

    def is_finishing(self, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether a promoted trial runs, or waits because its worker has left it."""
        return any(self.is_promoted(t) for t in trials if not t.state.is_finished())

    def next_promoted(self, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
        """Return the paused trial that a worker without a trial goes on with, or None."""
        if self.promotion is None or not any(map(self.is_paused, trials)):
            return None
        halving = Halving(self.promotion, filter(is_own, trials))
        return halving.next_trial(self.has_room(trials))

    def urgent(self, trials: Sequence[FrozenTrial], now: float) -> FrozenTrial | None:
        """Return the trial that needs all of the time until the deadline to be complete, or None.

        Without it, the study would end without the result of its foremost trial.
        """
        if self.promotion is None or self.deadline is None:
            return None
        halving = Halving(self.promotion, filter(is_own, trials))
        foremost = halving.foremost()
        if foremost is None:
            return None
        seconds = halving.seconds_to_finish(foremost, now)
        return foremost if now + seconds >= self.deadline else None

    def may_be_taken_up(self, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether a worker may take up a trial now: it is paused, or was put back."""
        return self.is_paused(trial) or any(t.number == trial.number for t in self.runnable(trials))

    def stop_reason(self, trials: Sequence[FrozenTrial]) -> str | None:
        """Return why the stop rule ends the study, or None.

        Without the rule of promotion, trials that were paused are yet to be run.
        """
        if self.stop is None:
            return None
        own = filter(is_own, trials)
        return self.stop.reason([t for t in own if self.promotion or t.state.is_finished()])

    def is_exhausted(self, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether no point is left that this command may run.

        A point that failed under this command is not run again by it.
        """
        if self.n_points is not None and not self.exhaustive:
            n_failed = len(self.failed(trials))
            if sum(map(self.counts, trials)) + n_failed >= self.n_points:
                return True
        signs = list(filter(_found_no_point, trials))
        # Only the points that failed under an earlier command may be run again.
        return any(t.number not in self.failed_before for t in signs) or (
            bool(signs) and not failures(trials)
        )

    def is_spent(self, trials: Sequence[FrozenTrial], now: float) -> bool:
        """Return whether no further trial may be started, new or interrupted."""
        if self.gives_up(trials, now):
            return True
        if self.only_finishes(trials):
            return self.next_promoted(trials) is None and not self.is_finishing(trials)
        return False

    def only_finishes(self, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether only trials that are promoted may be run: there are enough others."""
        has_all = self.n_trials is not None and self.n_finished(trials) >= self.n_trials
        return has_all or self.stop_reason(trials) is not None

    def gives_up(self, trials: Sequence[FrozenTrial], now: float) -> bool:
        """Return whether the command ends although trials run: for its time, or for failures."""
        is_late = self.deadline is not None and now >= self.deadline
        has_failed = self.too_many_failed(trials) or self.fatal(trials) is not None
        return is_late or has_failed or self.only_failed(trials)

    def next_index(self, trials: Sequence[FrozenTrial]) -> int | None:
        """Return the index of the next new trial, or None if all trials of the budget exist.

        In a grid, the index is that of the first point that has no trial.
        """
        counted = [t for t in trials if self.counts(t)]
        if not self.exhaustive:
            has_room = self.n_trials is None or len(counted) < self.n_trials
            return len(counted) if has_room and not self.is_exhausted(trials) else None
        used_points = {t.system_attrs.get(POINT_KEY) for t in counted}
        return next((p for p in range(self.n_trials or 0) if p not in used_points), None)

    def admits(self, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether the budget has room for a trial that already exists.

        The answer depends only on trials with lower numbers, so all workers give the same one.
        """
        if not self.exhaustive and (self.n_trials is None or trial.number < self.n_trials):
            return True  # there are not more earlier ones than its number
        earlier = [t for t in trials if t.number < trial.number and self.counts(t)]
        if not self.exhaustive:
            return self.n_trials is None or len(earlier) < self.n_trials
        point = trial.system_attrs.get(POINT_KEY)
        return point not in {t.system_attrs.get(POINT_KEY) for t in earlier}


def is_own(trial: FrozenTrial) -> bool:
    """Return whether the study itself has run the trial, or will."""
    return IMPORTED_KEY not in trial.user_attrs


def is_shown(trial: FrozenTrial) -> bool:
    """Return whether a trial is one of the study's own, and was not ended without a run."""
    return is_own(trial) and not was_not_needed(trial)


def may_be_best(trial: FrozenTrial) -> bool:
    """Return whether a trial is one of the study's own, complete and feasible."""
    return trial.state == TrialState.COMPLETE and is_own(trial) and is_feasible(trial)


def failures(
    trials: Sequence[FrozenTrial], before: Container[int] = frozenset()
) -> list[FrozenTrial]:
    """Return the trials that failed, without those whose numbers are in `before`.

    Those that were ended because they were not needed are left out.
    """
    failed = [t for t in trials if t.state is TrialState.FAIL]  # few of thousands
    return [t for t in failed if t.number not in before and not was_not_needed(t)]


def was_not_needed(trial: FrozenTrial) -> bool:
    """Return whether a trial was ended without a run: a surplus one, or a repeated point.

    Its reason is written before its state. If the process dies in between, the trial is run later.
    """
    if trial.state is not TrialState.FAIL:
        return False
    attrs = trial.user_attrs
    return DUPLICATE_KEY in attrs or attrs.get(FAILURE_KEY) in (SURPLUS, EXHAUSTED)


def _found_no_point(trial: FrozenTrial) -> bool:
    """Return whether a trial failed because the study had no other point."""
    is_failed = trial.state is TrialState.FAIL  # few of thousands
    return is_failed and trial.user_attrs.get(FAILURE_KEY) == EXHAUSTED
