import json

from tests.fakes.values import at, event, history
from watcher.core.event_json import format_time, from_json, to_json
from watcher.core.model import Reason


def test_the_shape_of_the_contract() -> None:
    reason = Reason(code="WKS.0017", message="sysprep failed", exact=False)
    body = to_json(event(reason=reason))
    assert {key: body[key] for key in body if key != "instance"} == {
        "id": "evt_0123456789abcdef0123456789abcdef",
        "kind": "transition",
        "source": "prod",
        "instance_id": "697612196993040384",
        "instance_name": "office-2026",
        "from": "BUILDING",
        "to": "BUILT",
        "inferred": [],
        "severity": "info",
        "observed_at": "2026-01-01T00:00:15.123Z",
        "previous_observed_at": "2026-01-01T00:00:00.101Z",
        "sequence": 7,
        "duration_s": 1412.0,
        "labels": {"team": "vdi"},
        "reason": {"code": "WKS.0017", "message": "sysprep failed", "exact": False},
        "alerts": [],
        "expected": None,
        "flapping": False,
        "changes": None,
    }
    assert body["instance"]["image_id"] == "img-2"


def test_an_alert_in_the_contracts_shape() -> None:
    _, [_, failed] = history("BUILDING", "ERROR")
    [alert] = to_json(failed)["alerts"]
    assert alert == {
        "name": "error",
        "fingerprint": failed.alerts[0].fingerprint,
        "status": "firing",
        "severity": "critical",
        "starts_at": "2026-01-01T00:00:15.000Z",
        "ends_at": None,
        "labels": {"instance_name": "office-2026", "status": "ERROR"},
    }


def test_there_and_back_through_text() -> None:
    _, events = history("CREATING", "ERROR", None, None, "BUILT")
    for told in events:
        assert from_json(json.loads(json.dumps(to_json(told)))) == told


def test_times_have_milliseconds() -> None:
    assert format_time(at(0.0009)) == "2026-01-01T00:00:00.000Z"
