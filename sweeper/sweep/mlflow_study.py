"""The record of a study in MLflow: one run, the parent of the runs of its trials."""

import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeper.secrets import concealed, masked_uri
from sweeper.space.grammar import sweep_text
from sweeper.space.live import config_key
from sweeper.sweep.budget import FAILURE_KEY, STATE_WORDS, failures, is_shown, may_be_best
from sweeper.sweep.counts import Counts
from sweeper.sweep.curve import Place, end_of, end_order, is_paused, start_of
from sweeper.sweep.finals.final_records import Scores
from sweeper.sweep.observer import Outcome, StudyInfo
from sweeper.sweep.results.front import best_trials, chosen_trial
from sweeper.sweep.study_note import study_note
from sweeper.tracking import tags
from sweeper.tracking.delivery import Delivery
from sweeper.tracking.mlflow import MLflowTracker, WantsModel, wait_for_trials
from sweeper.tracking.tracker import RunInfo, Status, TrialEnd
from sweeper.trial import TrialInfo

if TYPE_CHECKING:
    from sweeper.figures.study.timeline import Bar
    from sweeper.figures.study.view import StudyView
    from sweeper.sweep.picture.saving import EarlyFigures

log = logging.getLogger(__name__)

STATUS: Mapping[TrialState, Status] = {
    TrialState.COMPLETE: "FINISHED",
    TrialState.PRUNED: "KILLED",
    TrialState.FAIL: "FAILED",
}
"""MLflow's status for each state in which a trial can end."""
STATES = STATE_WORDS | {TrialState.FAIL: ""}
"""What a trial's own run has as the tag `sweeper.state` in each of them."""


@dataclass(frozen=True)
class MLflowStudy:
    """Observer that records a study as an MLflow run: space, counts, best trial and figures.

    The study never waits for the server: the records go through an outbox, like those of a run.
    The study's storage keeps the id or key of the run, so a resumed study continues the same run.

    Args:
        metric: Name of the objective, or a list of names.
        uri: MLflow's tracking URI; None for `MLFLOW_TRACKING_URI`, else a database in `folder`.
        experiment: MLflow's experiment; None for `MLFLOW_EXPERIMENT_NAME`, else the name of
            the data set, or that of the study if it searches `data`.
        flush_seconds: The longest wait at the end of the study for the records of its trials, and
            then for its own, if the server answers.
        folder: Folder in which the command was started.
        run_name: Name of the run; None for the name of the study.
        own_tags: Further tags of the run.
        model: Whether the winner's network is recorded as a model by the winner's own run, as in
            `MLflowTracker`.
        register: Name under which the winner's model is registered; None for no registration.
    """

    metric: str | list[str]
    uri: str | None = None
    experiment: str | None = None
    flush_seconds: float = 30.0
    folder: Path = field(default_factory=lambda: Path.cwd().absolute())
    run_name: str | None = None
    own_tags: Mapping[str, Any] = field(default_factory=dict)
    model: WantsModel = "auto"
    register: str | None = None
    _trackers: list[MLflowTracker] = field(
        default_factory=list, init=False, repr=False, compare=False
    )
    """The tracker of the parent run between the two calls of the study."""

    def __post_init__(self) -> None:
        own_tags = tags.with_dotted_names(self.own_tags or {})
        shown = {key: masked_uri(str(value)) for key, value in own_tags.items()}
        object.__setattr__(self, "own_tags", shown)
        if self.uri is not None:  # workers receive this object, and launchers may write it to disk
            object.__setattr__(self, "uri", concealed(self.uri, "tracking.uri", read=str))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the tracker, which only the parent process needs."""
        return self.__dict__ | {"_trackers": []}

    def study_opened(self, study: StudyInfo) -> str | None:
        """Start the parent run, or continue it; return its id, or its key if the server is away.

        Raises:
            ConfigError: MLflow cannot use the URI, or the records cannot be written.
        """
        self.open(study)
        # The workers then find a database that exists, and a parent run.
        self.wait_until_open()
        return self._tracker(study).run_id

    def open(self, study: StudyInfo) -> str | None:
        """Start the parent run as `study_opened` does, but do not wait for MLflow.

        Return the id or the key of the run; trials can refer to it by either.
        """
        return self._tracker(study).run_id

    def wait_until_open(self) -> None:
        """Wait until MLflow has the run which `open` has started, or is known to be away."""
        for tracker in self._trackers:
            tracker.wait_until_attempted()

    def trial_started(self, trial: TrialInfo) -> None:
        """Do nothing: a trial that runs records itself."""

    def trial_finished(self, trial: TrialInfo, outcome: Outcome) -> None:
        """Do nothing: `study_finished` records the trials that did not run."""

    def worker_finished(self) -> None:
        """Wait until the trials of this worker are delivered, so that the parent finds them."""
        wait_for_trials()

    def study_finished(self, study: StudyInfo) -> str | None:
        """Record counts, the best trial, results and figures, and end the parent run.

        Return the address of the run's page, below that of the server, if it is known.
        """
        return self.finish(study)

    def study_failed(self, study: StudyInfo, reason: str) -> None:
        """End the parent run as FAILED, without results; the same command adds them later."""
        self.fail(study, reason)

    def draw_early(self, study: StudyInfo) -> "EarlyFigures":
        """Draw what `finish` need not draw, if the trials are still the same then."""
        from sweeper.sweep.picture.saving import EarlyFigures  # imports matplotlib

        return EarlyFigures.of(*self._subject(study))

    def finish(
        self,
        study: StudyInfo,
        wait_for_trials: Callable[[], Sequence[Delivery]] = tuple,
        early: Callable[[], "EarlyFigures | None"] = lambda: None,
    ) -> str | None:
        """Do what `study_finished` does.

        wait_for_trials: waits for the delivery of the trials, and returns what is not delivered in
            time. The figures are drawn meanwhile.
        early: returns what `draw_early` has drawn, if anything.
        """
        if not self._trackers and study.parent_id is None:
            return None  # the observer failed when the study was opened
        tracker = self._tracker(study)
        try:
            view, bars = self._subject(study)
            with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as pool:
                figures = pool.submit(_save_figures, view, bars, early, Path(folder))
                since = time.monotonic()
                late = wait_for_trials()
                # The trials' own records come before the study's view of them.
                tracker.deliver_others(late, since)
                left_behind = tracker.trials_left_behind()
                winner = self._record(tracker, study, view)
                for path in figures.result():
                    tracker.log_artifact(path, "figures")
        finally:
            self._trackers.clear()
            tracker.finish(_status(study))
        self._warn_of_late_model(left_behind, winner)
        return tracker.page

    def fail(
        self,
        study: StudyInfo,
        reason: str,
        wait_for_trials: Callable[[], Sequence[Delivery]] = tuple,
    ) -> None:
        """Do what `study_failed` does; `wait_for_trials` is that of `finish`."""
        if not self._trackers and study.parent_id is None:
            return  # the observer failed when the study was opened
        tracker, since = self._tracker(study), time.monotonic()
        self._trackers.clear()
        tracker.deliver_others(wait_for_trials(), since)
        tracker.finish("FAILED", reason)

    def _warn_of_late_model(self, left_behind: Iterable[str], winner: int | None) -> None:
        """Warn if the record that registers the winner's model came before the model may have.

        left_behind: the labels of the trials that were not delivered at that time.
        """
        late = {label.partition(" ")[0] for label in left_behind}
        if self.register is not None and str(winner) in late:
            log.warning(
                "tracking.register=%s: the model of trial %d may not be registered, since its "
                "records came late; type the same command again",
                self.register,
                winner,
            )

    def _record(self, tracker: MLflowTracker, study: StudyInfo, view: "StudyView") -> int | None:
        """Record counts, the best trial and the results; return the number of the winner."""
        loaded = _loaded(study)
        ends = list(self._ends(loaded.get_trials(deepcopy=False)))
        best = chosen_trial(best_trials(loaded), loaded.directions, study.best)
        note = study_note(loaded, best, view.importances, view.basis, study.train_again)
        winner = None if best is None else best.number
        tracker.reconcile(study.name, study.parent_id, ends, note, winner)
        if self.register is not None and best is None and len(loaded.directions) > 1:
            log.warning(
                "tracking.register=%s: no model is registered, since the study has no single best "
                "trial; add hydra.sweeper.best=knee to the same command",
                self.register,
            )
        self._log_best_so_far(tracker, loaded)
        scores = Scores.by_name(loaded.user_attrs, winner)
        tracker.log_metrics(self._metrics(loaded, best) | scores, step=0)
        tracker.set_tags(_best_tags(best), prefix=tags.BEST_PREFIX)
        results = study.folder / "optimization_results.yaml"
        if results.is_file():
            tracker.log_artifact(results)
        return winner

    def _tracker(self, study: StudyInfo) -> MLflowTracker:
        """Return the tracker of the parent run, which it starts or continues if need be."""
        if not self._trackers:
            params = {f"space/{key}": _sweep_text(values) for key, values in study.space.items()}
            params |= {
                _group_key(group): str(option)
                for group, option in study.options.items()
                if option is not None
            }
            of_study = {tags.STUDY: study.name, "sweeper.directions": " ".join(study.directions)}
            run_tags = {**self.own_tags, **of_study}
            experiment = study.options.get("data") or study.name
            name = str(self.run_name or study.name)  # 3 is read as a number
            info = RunInfo(experiment, name, params, run_tags, run_id=study.parent_id)
            tracker = MLflowTracker(
                self.uri, self.experiment, self.flush_seconds, self.folder, register=self.register
            )
            tracker.start(info)
            self._trackers.append(tracker)
        return self._trackers[0]

    def _ends(self, trials: Sequence[FrozenTrial]) -> Iterator[TrialEnd]:
        """Yield how each trial ended that has ended or is paused."""
        for trial in filter(is_shown, trials):
            state = tags.PAUSED if is_paused(trial) else STATES.get(trial.state)
            if state is None:
                continue
            times = [*(each.start for each in Place.of(trial).stretches), start_of(trial)]
            began = min((time for time in times if time is not None), default=None)
            curve = trial.intermediate_values
            yield TrialEnd(
                trial.number,
                STATUS.get(trial.state, "KILLED"),
                str(trial.user_attrs.get(FAILURE_KEY, state if state == tags.PAUSED else "")),
                {config_key(name): str(value) for name, value in trial.params.items()},
                self._best_metrics(trial.values) if trial.values else {},
                _milliseconds(began),
                _milliseconds(end_of(trial)),
                state,
                {self._metric_names()[0]: curve} if curve else {},
            )

    def _subject(self, study: StudyInfo) -> tuple["StudyView", "list[Bar]"]:
        """Return what the figures show."""
        from sweeper.sweep.bars import bars_of  # imports matplotlib
        from sweeper.sweep.picture.viewing import view_of

        loaded, names = _loaded(study), self._metric_names()
        view = view_of(loaded, names, study.options, study.n_trials, study.best)
        return view, bars_of(loaded.get_trials(deepcopy=False))

    def _log_best_so_far(self, tracker: MLflowTracker, study: optuna.Study) -> None:
        """Log the best value of each objective after each trial that is complete and feasible.

        The steps count these trials in the order in which they ended, and the time of a point is
        that of the trial. So a resumed study adds points, and changes none: a trial with a low
        number may be paused, and complete only then.
        """
        counting = filter(may_be_best, study.get_trials(deepcopy=False))
        best: list[float] = []
        choices: list[Callable[[float, float], float]]
        choices = [max if d == StudyDirection.MAXIMIZE else min for d in study.directions]
        for step, trial in enumerate(sorted(counting, key=end_order)):
            best = best or list(trial.values)
            triples = zip(choices, best, trial.values, strict=True)
            best = [choose(old, new) for choose, old, new in triples]
            named = zip(self._metric_names(), best, strict=True)
            metrics = {f"best_so_far/{tags.below_prefix(name)}": value for name, value in named}
            tracker.log_metrics(metrics, step, _milliseconds(end_of(trial)))

    def _metrics(self, study: optuna.Study, best: FrozenTrial | None) -> dict[str, float]:
        trials = study.get_trials(deepcopy=False)
        counts = Counts.of(trials)
        metrics = {
            "trials/complete": float(counts.complete),
            "trials/pruned": float(counts.pruned),
            "trials/paused": float(counts.paused),
            "trials/failed": float(len(failures(trials))),
        }
        return metrics if best is None else metrics | self._best_metrics(best.values)

    def _best_metrics(self, values: Sequence[float]) -> dict[str, float]:
        named = zip(self._metric_names(), values, strict=True)
        return {f"{tags.BEST_PREFIX}{tags.below_prefix(name)}": value for name, value in named}

    def _metric_names(self) -> list[str]:
        return [self.metric] if isinstance(self.metric, str) else list(self.metric)


def _sweep_text(distribution: Any) -> str:
    """Return a distribution, given as JSON, in Hydra's grammar; else as it is."""
    text = distribution if isinstance(distribution, str) else json.dumps(distribution)
    try:
        return sweep_text(text)
    except (KeyError, TypeError, ValueError):  # of a storage that others may write
        return text


def _group_key(group: str) -> str:
    """Return the config key of a group; that of `init@init.conv` is `init.conv`."""
    name, _, package = group.partition("@")
    return package or name


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _status(study: StudyInfo) -> Status:
    """Return FINISHED if the study has what was asked for, and KILLED if it stopped before that."""
    return "FINISHED" if study.has_ended else "KILLED"


def _best_tags(best: FrozenTrial | None) -> dict[str, str]:
    if best is None:
        return {}
    params = {config_key(name): str(value) for name, value in best.params.items()}
    best_tags = {f"best/{name}": value for name, value in params.items()}
    return best_tags | {"best/trial": str(best.number)}


def _loaded(study: StudyInfo) -> optuna.Study:
    return optuna.load_study(study_name=study.name, storage=study.storage)


def _save_figures(
    view: "StudyView", bars: "list[Bar]", early: Callable[[], "EarlyFigures | None"], folder: Path
) -> list[Path]:
    from sweeper.sweep.picture.saving import draw  # imports matplotlib

    files = draw(view, bars, early())
    for name, content in files.items():
        (folder / f"{name}.png").write_bytes(content)
    return [folder / f"{name}.png" for name in files]
