"""Values of every type: a trial's config equals that of Hydra's own sweeper, defaults are found."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import II, MISSING, OmegaConf

from sweeper.hydra_versions import COMPOSING, register_resolver
from sweeper.space.compose import Composer
from sweeper.space.live import LiveSpace
from sweeper.space.space import parse_space
from sweeper.sweep.points import default_point


class Color(Enum):
    RED = 1
    GREEN = 2


@dataclass
class Inner:
    lr: float = 0.1
    color: Color = Color.RED


@dataclass
class Leaves:
    color: Color = Color.RED
    maybe: Color | None = None
    path: Path = Path("a b/c")
    raw: bytes = b"abc"
    flag: bool = True
    f: float = 1.0
    s: str = "007"
    any: Any = 1
    text: Any = "1e3"
    empty: str = ""
    missing: int = MISSING
    ref: float = II("f")
    broken: Any = II("nothing")
    job: Any = II("hydra:job.num")
    drawn: Any = "${next:}"
    size: int | str = 5
    inner: Inner = field(default_factory=Inner)
    layers: list[int] = field(default_factory=lambda: [1, 2])
    d: dict[str, Any] = field(default_factory=lambda: {"a": 1, "b": {"c": [1, "x y"]}})
    by_color: dict[Color, float] = field(default_factory=lambda: {Color.RED: 0.5})


ConfigStore.instance().store("leaves", Leaves)


@pytest.fixture(scope="module")
def composed() -> Iterator[tuple[Any, Any]]:
    previous = HydraConfig.instance().cfg
    with initialize(config_path=None, **COMPOSING):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("leaves", [], RunMode.MULTIRUN)
        master.hydra.job.name = "app"
        HydraConfig.instance().cfg = master
        yield loader, master
    HydraConfig.instance().cfg = previous


def own_part(config: Any) -> str:
    # The text distinguishes types, such as 1, 1.0 and true.
    return str({k: v for k, v in OmegaConf.to_container(config).items() if k != "hydra"})


SWEEPS = [
    "color=RED,GREEN",
    "color='RED',GREEN",
    "color=1,2",
    "maybe=null,RED",
    "path=x,'a_b/c'",
    "flag=true,false",
    "flag=yes,no",
    "f=1,10",
    "f=1.0,2",
    "f=range(0,1,0.1)",
    "f=nan,inf,-inf,1",
    "f=-0.0,0.0,0",
    "s='007',x",
    "s=007,x",
    "s=7,8",
    "any=1,true,1.0",
    "any='1',1",
    "any=null,'null',a",
    "any=[1,2],[a,'b']",
    "any={a:1,b:{c:2}},{}",
    "any='',a",
    "any='a,b','c=d'",
    "any='it\\'s',\"q\\\"q\"",
    "any='${f}',1",
    "any=${f},1",
    "any='käse','日本'",
    "any=a\\,b,c",
    "any='a\\\\b',c",
    "any=1000,'1e3'",
    "any=0x1,1_000,'1_000'",
    "any=a:b,c",
    "any=-1,+1",
    "text=1e3,'1e3'",
    "empty='',a",
    "missing=1,2",
    "ref=3,4",
    "broken=1,2",
    "job=0,1",
    "size=5,a",
    "size=a,'5'",
    "inner.lr=0.1,1",
    "inner.color=RED,GREEN",
    "inner={lr:0.1},{lr:1}",
    "inner={lr:1,color:GREEN},{color:RED}",
    "layers=[1,2],[3]",
    "layers.0=1,2",
    "d.a=1,2",
    "d.b.c.1=x,'y'",
    "d={a:1},{a:2}",
    "d={b:{c:[1]}},{a:2}",
    "+d.new=1,2",
    "++d.a=5,6",
    "by_color.RED=1,2",
    "any=sort(3,1,2)",
    "any=float(range(1,3))",
    "any=int(choice(1.5,2))",
    "any=bool(choice(0,1))",
    "any=[],[[]],[{a:[]}]",
    "any={a\\:b:2},{c:1}",
    "any='\\${x}',b",
    "any=\\\\,b",
    "any=1.,.5",
    "+new.x=1,2",
    "any='[1,2]',[1,2]",
    "any='{a:1}',{a:1}",
    "any=a@b,c?",
    "any=$x,%",
]


@pytest.mark.parametrize("line", SWEEPS)
def test_a_trial_has_the_values_that_hydras_own_sweeper_gives(composed, line) -> None:
    loader, master = composed
    overrides = OverridesParser.create(config_loader=loader).parse_overrides([line])
    (jobs,) = BasicSweeper.split_arguments(overrides, None)
    expected = [own_part(loader.load_sweep_config(master, list(job))) for job in jobs]
    space = parse_space([line], loader)
    (parameter,) = space.parameters.values()
    composer = Composer(loader, master, space)
    points = [{parameter.key: value} for value in parameter.values]
    assert [own_part(composer.compose(p, 0, Path("/s"))) for p in points] == expected


@pytest.mark.parametrize(
    ("line", "point"),
    [
        ("color=GREEN,RED", {"color": "RED"}),
        ("color=2,1", {"color": 1}),
        ("maybe=RED,null", {"maybe": "null"}),
        ("path=x,'a b/c'", {"path": "'a b/c'"}),
        ("path=x,a\\ b/c", {"path": "'a b/c'"}),
        ("flag=no,yes", {"flag": "yes"}),
        ("f=10,1", {"f": 1}),
        ("f=interval(0,5)", {"f": 1.0}),
        ("ref=0,1", {"ref": 1}),
        ("s='x','007'", {"s": "'007'"}),
        ("s=7,8", {}),
        ("any=1.0,true,1", {"any": "1"}),
        ("any=true,2", {}),
        ("text=1e3,'1e3'", {"text": "'1e3'"}),
        ("empty=a,''", {"empty": "''"}),
        ("missing=1,2", {}),
        ("broken=1,2", {}),
        ("job=0,1", {}),
        ("size=a,5", {"size": 5}),
        ("inner.color=GREEN,RED", {"inner.color": "RED"}),
        ("inner={lr:1},{lr:0.1}", {"inner": "{lr:0.1}"}),
        ("layers=[1],[1,2]", {"layers": "[1,2]"}),
        ("layers.1=1,2", {"layers.1": 2}),
        ("d.b.c=[2],[1,'x y']", {"d.b.c": "[1,'x y']"}),
        ("raw=a,abc", {}),
        ("+new=1,2", {}),
    ],
)
def test_the_default_of_every_type_is_found_among_the_choices(composed, line, point) -> None:
    loader, master = composed
    space = parse_space([line], loader)
    assert default_point(LiveSpace(space, Composer(loader, master, space))) == point


def test_a_cached_resolver_is_evaluated_anew_for_each_trial(composed) -> None:
    loader, master = composed
    numbers = iter(range(100))
    register_resolver("next", lambda: next(numbers), use_cache=True)
    space = parse_space(["drawn=-1,-2", "any=1,2"], loader)
    composer = Composer(loader, master, space)
    assert "drawn" in LiveSpace(space, composer).defaults({})
    first, second = (composer.compose({"any": n}, n, Path("/s")) for n in (1, 2))
    assert first.drawn != second.drawn
