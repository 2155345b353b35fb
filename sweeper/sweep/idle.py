"""The check that nobody uses a study that is to be moved away."""

from optuna.trial import TrialState

from sweeper.errors import ConfigError
from sweeper.locks import locked
from sweeper.sweep.explain.ablation_study import EXPLAIN_FOLDER, ablation_name
from sweeper.sweep.explain.explanation import EXPLAIN_LOCK
from sweeper.sweep.finals.stage import FINALS_JOURNAL, finals_name
from sweeper.sweep.lease import Lease
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.storage import JOURNAL, open_storage
from sweeper.sweep.study import open_study


def require_idle(spec: StudySpec) -> None:
    """Check that no worker on this host runs a trial of the study that is to be moved away.

    Nor may it do one of the jobs that follow the search, nor may the study be explained.

    Raises:
        ConfigError: a worker does, or it is.
    """
    studies = [(spec.name, JOURNAL), (finals_name(spec.name), FINALS_JOURNAL)]
    # An explanation that was killed leaves its runs to go on.
    for ablation in (spec.folder / EXPLAIN_FOLDER).glob("*"):
        studies.append((ablation_name(spec.name, ablation.name), str(ablation / JOURNAL)))
    leases = [lease for name, journal in studies for lease in _leases(name, spec, journal)]
    alive = [lease for lease in leases if lease.process_is_alive()]
    if alive:
        raise ConfigError(
            f"study=fresh: study {spec.name} is running, in process {alive[0].pid} of "
            f"{alive[0].host_name}; end it first, or choose another name with "
            "hydra.sweeper.study_name=NAME"
        )
    lock = spec.folder / EXPLAIN_LOCK
    if not lock.exists():
        return
    try:
        with locked(lock, wait=False):
            pass
    except BlockingIOError as error:
        raise ConfigError(
            f"study=fresh: python -m sweeper.explain {spec.folder} is running; end it first, or "
            "choose another name with hydra.sweeper.study_name=NAME"
        ) from error


def _leases(name: str, spec: StudySpec, journal: str) -> list[Lease]:
    """Return the leases of a study's running trials; `journal` is its file, if it has one."""
    file = spec.folder / journal
    if spec.storage is None and not file.is_file():
        return []
    try:
        storage = open_storage(str(file) if spec.storage is None else spec.storage, spec.folder)
        trials = open_study(name, storage).get_trials(deepcopy=False)
    except (ConfigError, KeyError):
        return []  # a damaged journal, or no such study
    leases = (Lease.read(t.system_attrs) for t in trials if t.state == TrialState.RUNNING)
    return [lease for lease in leases if lease is not None]
