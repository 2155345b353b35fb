import pytest

from sweeper.errors import ConfigError
from sweeper.sweep.elsewhere.mlflow_source import mlflow_findings
from sweeper.sweep.elsewhere.sources import Source, read_sources
from sweeper.sweep.observer import Observers


@pytest.mark.parametrize("place", ["mlflow:digits", "mlflow:it's a test", "mlflow:a@http://h:5000"])
@pytest.mark.parametrize("directions", [("minimize",), ("minimize", "maximize")])
def test_a_source_without_metrics_is_refused_with_one_to_paste(place, directions, pasted) -> None:
    with pytest.raises(ConfigError, match="is not known; type") as error:
        mlflow_findings(Source(place), (), directions, Observers())
    (source,) = read_sources(pasted(error.value).value())
    assert source == Source(place, metric=("NAME",) * len(directions))
