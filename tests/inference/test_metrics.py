from __future__ import annotations

from antiphon.inference.metrics import Metrics


def filled(process: int | None) -> list[str]:
    metrics = Metrics(process)
    metrics.tokens.labels("tiny", "prompt").inc(3)
    metrics.first_token.labels("tiny").observe(0.1)
    metrics.gauge("antiphon_waiting_requests", "Waiting", "snapshot", lambda: {"tiny": 2.0})
    metrics.counter("antiphon_engine_renewals", "Renewals", "snapshot", lambda: {"tiny": 4.0})
    return [line for line in metrics.text().decode().splitlines() if not line.startswith("#")]


def test_the_only_process_has_no_label_of_its_own() -> None:
    lines = filled(None)
    assert 'antiphon_tokens_total{kind="prompt",snapshot="tiny"} 3.0' in lines
    assert 'antiphon_engine_renewals_total{snapshot="tiny"} 4.0' in lines
    assert not any("process=" in line for line in lines)


def test_one_of_several_names_itself_in_every_value() -> None:
    lines = filled(2)
    assert 'antiphon_tokens_total{kind="prompt",process="2",snapshot="tiny"} 3.0' in lines
    assert 'antiphon_waiting_requests{process="2",snapshot="tiny"} 2.0' in lines
    assert all('process="2"' in line for line in lines)
    assert [line.split("{")[0] for line in lines] == [line.split("{")[0] for line in filled(None)]
