from optuna.trial import create_trial

from sweeper.sweep.budget import THREADS_KEY
from sweeper.sweep.results.ended_trial import threads_prefix


def test_a_number_of_threads_from_the_storage_is_no_command() -> None:
    trial = create_trial(value=1.0, user_attrs={THREADS_KEY: "1; touch x #"})
    assert threads_prefix(trial) == "OMP_NUM_THREADS='1; touch x #' "
