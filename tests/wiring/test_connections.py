"""However many hosts there are, the processes of an installation never hold more connections than they may."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxbot.config import InvalidSetting, load_settings
from oxbot.wiring.connections import EXECUTION, FIXED, GATEWAY, MODELS, NOTIFIER, accounts_that_fit, share_out

NEEDED = sum(FIXED.values()) + GATEWAY
NODES = st.lists(st.sampled_from([f"10.0.0.{number}" for number in range(1, 9)]), min_size=1, unique=True)


@given(connections_max=st.integers(NEEDED, 200), nodes=NODES)
def test_all_connections_together_stay_within_the_setting(connections_max: int, nodes: list[str]) -> None:
    shared = share_out(connections_max, nodes)
    assert shared.direct >= 0
    held = sum(FIXED.values()) + shared.direct + GATEWAY * len(shared.gateways)
    assert held <= connections_max
    assert held >= connections_max - 1 or len(shared.gateways) == len(nodes)


@given(connections_max=st.integers(NEEDED, 200), nodes=NODES)
def test_there_is_a_gateway_for_hosts_without_a_connection(connections_max: int, nodes: list[str]) -> None:
    gateways = share_out(connections_max, nodes).gateways
    assert gateways
    assert list(gateways) == nodes[: len(gateways)]


@given(
    connections_max=st.integers(NEEDED, 200),
    nodes=NODES,
    executions=st.integers(0, 9),
    notifier=st.booleans(),
    models=st.booleans(),
)
def test_executions_notifier_and_models_have_theirs_before_the_hosts(
    connections_max: int, nodes: list[str], executions: int, *, notifier: bool, models: bool
) -> None:
    others = EXECUTION * executions + NOTIFIER * notifier + MODELS * models
    if connections_max - others < NEEDED:
        with pytest.raises(InvalidSetting, match=f"at least {NEEDED + others}"):
            share_out(connections_max, nodes, executions=executions, notifier=notifier, models=models)
    else:
        shared = share_out(connections_max, nodes, executions=executions, notifier=notifier, models=models)
        assert shared == share_out(connections_max - others, nodes)


def test_the_default_has_room_for_an_account_and_the_notifier() -> None:
    connections_max = load_settings({}).connections_max
    assert accounts_that_fit(connections_max, notifier=True) == 1
    shared = share_out(connections_max, ["127.0.0.1"], executions=1, notifier=True, models=True)
    assert (shared.direct, shared.gateways) == (0, ("127.0.0.1",))


@given(connections_max=st.integers(NEEDED + NOTIFIER + MODELS, 200), notifier=st.booleans())
def test_so_many_accounts_fit_and_not_one_more(connections_max: int, notifier: bool) -> None:
    fitting = accounts_that_fit(connections_max, notifier=notifier)
    share_out(connections_max, ["127.0.0.1"], executions=fitting, notifier=notifier, models=True)
    with pytest.raises(InvalidSetting):
        share_out(connections_max, ["127.0.0.1"], executions=fitting + 1, notifier=notifier, models=True)


def test_by_default_the_demo_has_a_connection_for_each_of_its_hosts() -> None:
    assert share_out(load_settings({}).connections_max, ["127.0.0.1"]).direct == 6


def test_too_few_connections_are_refused_before_anything_starts() -> None:
    with pytest.raises(InvalidSetting, match=f"at least {NEEDED}"):
        share_out(NEEDED - 1, ["127.0.0.1"])


def test_the_setting_admits_every_number_that_is_enough() -> None:
    assert load_settings({"OXBOT_CONNECTIONS_MAX": str(NEEDED)}).connections_max == NEEDED
    with pytest.raises(InvalidSetting, match="OXBOT_CONNECTIONS_MAX"):
        load_settings({"OXBOT_CONNECTIONS_MAX": str(NEEDED - 1)})
