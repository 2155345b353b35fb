"""The words that a command line may use: keys, groups and options, read from the config itself."""

import importlib.util
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from sweeper.cli.overrides import quoted
from sweeper.hydra_state import OF_COMPOSITION, without_singletons
from sweeper.hydra_versions import COMPOSING
from sweeper.text import near_names

SYNONYMS = {
    "learning_rate": "lr",
    "learningrate": "lr",
    "bs": "batch_size",
    "batch": "batch_size",
    "batchsize": "batch_size",
    "workers": "n_jobs",
    "jobs": "n_jobs",
    "trials": "n_trials",
    "gpu": "device",
    "cuda": "device",
    "amp": "precision",
    "gpus": "device",
    "devices": "device",
    "checkpoint": "resume",
    "ckpt": "resume",
    "ckpt_path": "resume",
    "optimized_metric": "metric",
    "hparams_search": "search",
    "debug": "trainer",
    "pretrained": "weights",
    "output_dir": "dir",
    "net": "model",
    "network": "model",
    "arch": "model",
    "architecture": "model",
    "dataset": "data",
    "optim": "optimizer",
    "criterion": "loss",
    "lr_scheduler": "scheduler",
    "early_stopping": "stopping",
    "accelerator": "device",
    "gradient_clip_val": "clip_norm",
    "grad_clip": "clip_norm",
    "max_grad_norm": "clip_norm",
    "l2": "weight_decay",
    "wd": "weight_decay",
    "num_epoch": "epochs",
    "random_state": "seed",
    "tracker": "tracking",
    "experiment_name": "tracking.experiment",
    "logger": "tracking",
    "recipe": "experiment",
    "val_split": "val_fraction",
    "validation_split": "val_fraction",
    "data_dir": "root",
}
"""Words of other programs that are unlike ours; what is alike is found without them."""

OF_OTHER_GROUPS = ("search", "experiment")
"""Groups without keys of their own: their options choose options and values of other groups."""

MEANT_VALUES = dict.fromkeys(["gpu", "cuda", "gpus", "devices"], ("cuda", "cpu"))
"""The values of our keys, for words that take other values: `gpu=0`."""

ONE_COMMAND_EACH = (
    "leave it out: python -m sweeper trains, and python -m sweeper.evaluate checkpoint=FILE "
    "evaluates a checkpoint"
)
ONE_GPU = "one network on several GPUs is not here; a study trains one trial on each GPU"
CALLBACKS = (
    "type stopping=patience to stop early, or +callbacks.mine._target_=my_package.MyCallback for a "
    "class of your own"
)
NOT_HERE = {
    **dict.fromkeys(["train", "test"], ONE_COMMAND_EACH),
    **dict.fromkeys(["trainer.strategy", "strategy", "trainer.num_nodes", "num_nodes"], ONE_GPU),
    **dict.fromkeys(["trainer=ddp", "trainer=ddp_sim", "trainer=fsdp"], ONE_GPU),
    "callbacks": CALLBACKS,
}
"""What to do in place of what other programs have, and this one does in another way."""

PRECISIONS = {"16": "fp16", "32": "fp32"}
"""The numbers of bits that other programs take for a precision."""

MEANT = {
    "trainer.device=gpu": "trainer.device=cuda",
    **{f"trainer={name}": f"trainer.device={name}" for name in ("cpu", "cuda", "mps")},
    "trainer=gpu": "trainer.device=cuda",
    **dict.fromkeys(["debug", "debug=default", "debug=fdr"], "trainer=debug"),
    "debug=limit": "trainer=quick",
    "tracking=many_loggers": "tracking=all",
    **{f"trainer.precision={n}": f"trainer.precision={name}" for n, name in PRECISIONS.items()},
    "overfit_batches": "trainer=overfit",
    **dict.fromkeys(["metric=val/acc", "metric=val/acc_best"], "metric=val/accuracy"),
}
"""What to type for options and values that other programs have, and this one refuses.

A word alone stands for all of its values that are not in the table, and for which we have no key.
"""

LAUNCHER = "hydra/launcher"
OF_STUDIES = ("hydra.sweeper.", "hydra.launcher.", "hydra.run.", "hydra.sweep.")
NOT_KEYS = ("_target_", "search", "defaults")
MAX_CANDIDATES = 4


@dataclass(frozen=True)
class Suggestion:
    """A key that exists, and the option that has it if that is not chosen."""

    key: str
    choice: str = ""


class Vocabulary:
    """The words of the composed config and of the options that could be chosen in place of its own.

    Args:
        overrides: What the user typed. Its choices of options are followed as far as they exist.
        config_dir: Folder of the user's own options, or None; `hydra.searchpath` adds others.
    """

    def __init__(self, overrides: Sequence[str], config_dir: str | None = None) -> None:
        # Imported here, since it registers resolvers: another application may have its own.
        from sweeper.configs import CONFIGS

        named = [*filter(None, [config_dir]), *_search_path(overrides)]
        own = [Path(folder) for folder in named if Path(folder).is_dir()]
        self._folders = [CONFIGS, *own]
        search_path = [f"file://{folder.absolute()}" for folder in own]
        first = [f"hydra.searchpath=[{','.join(map(quoted, search_path))}]"] if search_path else []
        with (
            without_singletons(*OF_COMPOSITION),
            initialize_config_dir(str(CONFIGS), job_name="sweeper", **COMPOSING),
        ):
            loader = GlobalHydra.instance().config_loader()
            choices = [c for c in map(_choice, overrides) if c is not None]
            texts = [f"{g}={quoted(o)}" for g, o in choices if o in _options(loader, g, own)]
            config = compose("config", [*first, *texts], return_hydra_config=True)
            self.groups = [str(group) for group in config.hydra.runtime.choices]
            self._options = {g: _options(loader, g.partition("@")[0], own) for g in self.groups}
        self.choices: Mapping[str, Any] = dict(config.hydra.runtime.choices)
        self._content: Any = OmegaConf.to_container(config, resolve=False)

    @cached_property
    def keys(self) -> list[str]:
        """The keys of the composed config that have a plain value."""
        return [key for key, _ in leaves(self._content) if not _is_internal(key)]

    def has(self, key: str) -> bool:
        """Return whether the composed config has a key, with a value of any kind."""
        return self.value(key, missing := object()) is not missing

    def value(self, key: str, default: Any = None) -> Any:
        """Return the value of a key in the composed config."""
        node = self._content
        for name in key.split("."):
            if not isinstance(node, Mapping) or name not in node:
                return default
            node = node[name]
        return node

    def options(self, group: str) -> list[str]:
        """Return the options of a group."""
        return list(self._options.get(group, ()))

    def files(self, group: str) -> dict[str, Any]:
        """Return the content of each file of a group, by option."""
        paths = [
            path for folder in self._folders for path in sorted((folder / group).glob("*.yaml"))
        ]
        return {path.stem: _loaded(path) for path in paths}

    def suggestions(self, word: str) -> list[Suggestion]:
        """Return where a key, or its last part, is meant to be; the likeliest ones alone."""
        name = plain(word.rpartition(".")[2])
        synonym = SYNONYMS.get(name, name)
        if word.startswith("hydra.launcher.") and (others := self._of_other_launchers(name)):
            return others
        found = self._exact(word, name) or self._with_part(word, name)
        return (found or self._exact(word, synonym) or self._near(word, name))[:MAX_CANDIDATES]

    def _exact(self, word: str, name: str) -> list[Suggestion]:
        if name in self.groups and "." not in word:
            return [Suggestion(name)]
        own = [Suggestion(k) for k in self.keys if name in (plain(k), plain(k.rpartition(".")[2]))]
        of_experiment = [each for each in own if not each.key.startswith("hydra.")]
        of_studies = [each for each in own if each.key.startswith(OF_STUDIES)]
        if _is_hydras(word):
            return of_studies
        if of_experiment:
            return of_experiment
        in_others = list(self._in_other_options(name))
        of_group = [p for p in in_others if p.key.startswith(word.partition(".")[0] + ".")]
        nested = [Suggestion(group) for group in self.groups if group.rpartition("/")[2] == name]
        return of_group or in_others or of_studies or nested

    def _of_other_launchers(self, name: str) -> list[Suggestion]:
        """Return a key of `hydra.launcher` with each launcher that has it."""
        store = ConfigStore.instance()
        files = [f"{option}.yaml" for option in self.options(LAUNCHER)]
        known = [file for file in files if file in store.list(LAUNCHER)]
        return [
            Suggestion(f"hydra.launcher.{name}", f"{LAUNCHER}={file.removesuffix('.yaml')}")
            for file in known
            if name in store.load(f"{LAUNCHER}/{file}").node
        ]

    def _in_other_options(self, name: str) -> Iterator[Suggestion]:
        for group in self.groups:
            if "/" in group or group in OF_OTHER_GROUPS:
                continue
            for option, content in self.files(group).items():
                for key, _ in leaves(content):
                    if plain(key.rpartition(".")[2]) == name and not _is_internal(key):
                        yield Suggestion(f"{group}.{key}", f"{group}={option}")

    def _with_part(self, word: str, name: str) -> list[Suggestion]:
        """Return the keys of the typed group with this part: `finalist_seeds` has `seeds`."""
        return [Suggestion(key) for key in self._of_group(word) if name in _name(key).split("_")]

    def _near(self, word: str, name: str) -> list[Suggestion]:
        """Return the keys whose name is similar, those in the same group alone if there are any."""
        roots = [group for group in self.groups if "/" not in group and "." not in word]
        others = [] if _is_hydras(word) else [*roots, *self._typed]
        for keys in (self._of_group(word), others, self._of_studies):
            for near in near_names(name, map(_name, keys), cutoff=0.7)[:1]:
                return [Suggestion(key) for key in keys if _name(key) == near]
        return []

    def _of_group(self, word: str) -> list[str]:
        """Return the keys of the group in which a key was typed; none for a word without one."""
        prefix = next((p for p in OF_STUDIES if word.startswith(p)), f"{word.partition('.')[0]}.")
        keys = (*self._typed, *self._of_studies)
        return [key for key in keys if "." in word and key.startswith(prefix)]

    @cached_property
    def _typed(self) -> list[str]:
        return [key for key in self.keys if not key.startswith("hydra.")]

    @cached_property
    def _of_studies(self) -> list[str]:
        return [key for key in self.keys if key.startswith(OF_STUDIES)]


def option_texts(vocabulary: Vocabulary, group: str, option: str) -> list[str]:
    """Return what to type for an option that a group does not have, the likeliest alone.

    It may be written in another way, be the class that an option stands for, or be a value of one
    of the keys of an option: `model=resnet18` is `model=torchvision model.name=resnet18`.
    """
    if meant := MEANT.get(f"{group}={option}"):
        return [meant]
    files = vocabulary.files(group)
    wanted = squeezed(Path(option).stem if option.endswith(".yaml") else option)
    known = vocabulary.options(group)
    same = [name for name in known if squeezed(name) == wanted]
    targets = [n for n, node in files.items() if n in known and _class_of(node) == wanted]
    short = [name for name in known if "".join(part[0] for part in name.split("_")) == wanted]
    if found := same or targets or short:
        return [f"{group}={name}" for name in found]
    if group == "data" and Path(option).is_dir():
        return [f"data=image_folder data.root={quoted(Path(option))}"]
    values = [
        f"{group}={name} {group}.{key}={text}"
        for name, node in (files.items() if group not in OF_OTHER_GROUPS else ())
        for key, value in leaves(node, with_search=True)
        for text in _values(value)
        if squeezed(text) == wanted
    ]
    if group == "model" and not values and (name := torchvision_model_name(wanted)):
        values = [f"model=torchvision model.name={name}"]
    if values:
        return list(dict.fromkeys(values))[:MAX_CANDIDATES]
    longer = [name for name in known if len(wanted) > 2 and squeezed(name).startswith(wanted)]
    within = [name for name in known if len(name) > 3 and squeezed(name) in wanted]
    if within and not longer:  # such as Keras's categorical_crossentropy
        return [f"{group}={max(within, key=len)}"]
    near = longer[:MAX_CANDIDATES] or near_names(option, known, cutoff=0.65)
    return [f"{group}={name}" for name in near]


def torchvision_model_name(wanted: str) -> str | None:
    """Return the name of torchvision's model whose squeezed form is `wanted`, or None.

    The names are read from torchvision's source, since the package takes seconds to import.
    """
    spec = importlib.util.find_spec("torchvision")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        for file in sorted((Path(folder) / "models").glob("*.py")):
            text = file.read_text(encoding="utf-8")
            for name in re.findall(r"(?m)^@register_model\(.*\n(?:@.*\n)*def (\w+)\(", text):
                if squeezed(name) == wanted:
                    return str(name)
    return None


def leaves(node: Any, prefix: str = "", with_search: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield the keys of a plain mapping that have a plain value, with the value."""
    for name, value in node.items() if isinstance(node, Mapping) else ():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            if with_search and name == "search":
                yield from leaves(value, prefix)
            else:
                yield from leaves(value, f"{key}.", with_search)
        else:
            yield key, value


def _name(key: str) -> str:
    return key.rpartition(".")[2]


def _is_hydras(word: str) -> bool:
    """Return whether a key is meant to be one of Hydra's; the seed is one of the experiment."""
    return word.startswith("hydra.") and _name(word) != "seed"


def plain(word: str) -> str:
    """Return a word in the form in which words are compared: `Batch-Size` is `batch_size`."""
    return word.strip("-").replace("-", "_").lower()


def squeezed(word: str) -> str:
    """Return a word in the form in which names of options are compared: `ResNet-18`, `resnet18`."""
    return re.sub(r"[^a-z0-9]", "", word.lower())


def _loaded(path: Path) -> Any:
    try:
        return yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return {}  # Hydra says more of it if it is chosen


def _is_internal(key: str) -> bool:
    return any(name in NOT_KEYS for name in key.split("."))


def _choice(override: str) -> tuple[str, str] | None:
    """Return the group and the first option of an override that may choose one."""
    key, equals, value = override.partition("=")
    match = re.match(r"(?:choice\()?([\w./-]+)", value)
    return (key, match[1]) if equals and match and "." not in key else None


def _search_path(overrides: Sequence[str]) -> list[str]:
    """Return the folders of an override of `hydra.searchpath`; it may name packages too."""
    lines = [line for line in overrides if line.lstrip("+").startswith("hydra.searchpath=")]
    paths = [path for line in lines for path in re.findall(r"[^\[\],'\"=]+", line)[1:]]
    return [path.strip().removeprefix("file://") for path in paths]


def _options(loader: ConfigLoader, group: str, folders: Sequence[Path]) -> list[str]:
    """Return the options of a group, those in the user's folders too, which no path leads to."""
    own = {path.stem for folder in folders for path in (folder / group).glob("*.yaml")}
    return sorted(own.union(loader.get_group_options(group)))


def _values(value: Any) -> Iterable[str]:
    """Return the texts that a value of an option is or may be."""
    match = re.fullmatch(r"choice\((.*)\)", value) if isinstance(value, str) else None
    texts = match[1].split(",") if match else [value]
    return [text.strip() for text in texts if isinstance(text, str)]


def _class_of(node: Any) -> str | None:
    target = node.get("_target_") if isinstance(node, Mapping) else None
    return squeezed(target.rpartition(".")[2]) if isinstance(target, str) else None
