"""Names to snapshots: the shipped catalogue, and the operator's laid over it."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from antiphon.catalogue.catalogue import LEAD_SECONDS, Catalogue, at, load
from antiphon.catalogue.document import document
from antiphon.catalogue.entries import Ending, Switch
from antiphon.catalogue.instances import Instance
from antiphon.catalogue.store import ModelStore
from antiphon.engines.template import reviewed
from antiphon.errors import ConfigurationError, ModelNotFound
from antiphon.settings import Settings
from pretended import BASE, SMOLLM2, TINY, pretend_installed, write
from sold import NOW, instance

STAND_INS = [
    f"gpt-3.5-turbo-{ending}" for ending in ("0301", "0613", "16k", "16k-0613", "1106", "0125")
]  # fmt: skip

FOLDER = f'files = [{{ name = "model.safetensors", size = 5, sha256 = "{"0" * 64}" }}]\n'


def test_the_default_aliases_answer_once_installed(tmp_path: Path) -> None:
    catalogue = pretend_installed(tmp_path, SMOLLM2, BASE)
    assert catalogue.resolve("whisper-1").id == BASE
    assert catalogue.resolve(SMOLLM2).context == 8192
    for name in ["gpt-3.5-turbo", *STAND_INS]:
        assert catalogue.resolve(name).id == SMOLLM2


def test_the_models_list_holds_every_name_that_answers(tmp_path: Path) -> None:
    catalogue = pretend_installed(tmp_path, SMOLLM2, BASE, TINY)
    models = {model.id: model for model in catalogue.models()}
    assert set(models) == {"gpt-3.5-turbo", "whisper-1", *STAND_INS, SMOLLM2, BASE}
    assert [name for name, model in models.items() if model.stand_in] == STAND_INS
    assert models["whisper-1"].alias_of == BASE
    assert models[BASE].alias_of is None
    assert models[BASE].created == 1_663_718_400
    assert models["gpt-3.5-turbo"].owned_by == "huggingface"


def test_a_shutdown_date_is_shown(tmp_path: Path) -> None:
    write(tmp_path, f'[snapshots."{BASE}"]\nshutdown = 2027-02-26\n')
    shown = {model.id: model.shutdown_date for model in pretend_installed(tmp_path, BASE).models()}
    assert shown == {"whisper-1": "2027-02-26", BASE: "2027-02-26"}


def test_what_is_not_installed_is_not_served_and_says_how_to_pull_it(tmp_path: Path) -> None:
    catalogue = pretend_installed(tmp_path, BASE)
    with pytest.raises(ModelNotFound, match=f"antiphon models pull {SMOLLM2}"):
        catalogue.resolve("gpt-3.5-turbo")
    assert {model.id for model in catalogue.models()} == {"whisper-1", BASE}
    assert [entry.id for entry in catalogue.missing()] == [SMOLLM2]


def test_an_unknown_model_is_answered_with_what_is_served(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=f"Served here: whisper-1, {BASE}\\."):
        pretend_installed(tmp_path, BASE).resolve("gpt-4")
    with pytest.raises(ModelNotFound, match="Served here: nothing yet"):
        load(tmp_path / "empty").resolve("gpt-4")


def test_a_file_of_the_wrong_size_is_not_an_installed_one(tmp_path: Path) -> None:
    pretend_installed(tmp_path, BASE)
    (tmp_path / "models" / BASE / "config.json").write_bytes(b"{}")
    assert BASE not in load(tmp_path).installed


def test_an_installed_snapshot_is_served_once_it_is_marked_or_pointed_at(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="installed, but not served"):
        pretend_installed(tmp_path, TINY).resolve(TINY)
    write(tmp_path, f'[snapshots."{TINY}"]\nserve = true\n')
    assert load(tmp_path).resolve(TINY).licence == "MIT"
    write(tmp_path, f'[aliases]\n"whisper-1" = {{ snapshot = "{TINY}" }}\n')
    assert load(tmp_path).resolve("whisper-1").id == TINY


def test_deployments_are_what_is_served_and_tell_the_engine_what_it_needs(tmp_path: Path) -> None:
    write(tmp_path, f'[snapshots."{SMOLLM2}"]\nengine = "llama"\nslots = 3\n')
    store = ModelStore(tmp_path)
    chat, speech = pretend_installed(tmp_path, SMOLLM2, BASE, TINY).deployments(store, Settings())
    assert (chat.snapshot, chat.engine, chat.context, chat.slots) == (SMOLLM2, "llama", 8192, 3)
    assert chat.model == tmp_path / "models" / SMOLLM2 / "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert reviewed(chat.options["template"])
    assert (speech.snapshot, speech.engine, speech.slots, speech.options) == (BASE, "speech", 32, {})
    assert speech.model == tmp_path / "models" / BASE


def test_what_vllm_is_told_besides(tmp_path: Path) -> None:
    """Under its own names; another way to compute is another `system_fingerprint`."""
    settings = Settings(vllm_command=sys.executable)  # some program
    digests = set()
    for told in ({}, {"tensor_parallel_size": 2}, {"dtype": "float16", "enforce_eager": True}):
        options = "".join(f"vllm.{name} = {json.dumps(value)}\n" for name, value in told.items())
        write(tmp_path, f'[snapshots."{SMOLLM2}"]\nengine = "vllm"\n{FOLDER}{options}')
        [chat] = pretend_installed(tmp_path, SMOLLM2).deployments(ModelStore(tmp_path), settings)
        assert chat.options.get("vllm", {}) == told
        digests.add(chat.digest)
    assert len(digests) == 3


@pytest.mark.parametrize("engine", ["nonesuch", "speech"])
def test_an_engine_that_does_not_serve_the_task_is_refused(tmp_path: Path, engine: str) -> None:
    write(tmp_path, f'[snapshots."{SMOLLM2}"]\nengine = "{engine}"\n')
    with pytest.raises(ConfigurationError, match=f"'{SMOLLM2}' asks for the engine '{engine}'") as refusal:
        pretend_installed(tmp_path, SMOLLM2).deployments(ModelStore(tmp_path), Settings())
    assert "llama" in refusal.value.fix and "openai_speech" not in refusal.value.fix


def test_speech_on_vllm_is_said_to_be_reached_at_its_url(tmp_path: Path) -> None:
    write(tmp_path, f'[snapshots."{BASE}"]\nengine = "vllm"\n')
    with pytest.raises(ConfigurationError, match="'vllm', which does not serve speech") as refusal:
        pretend_installed(tmp_path, BASE).deployments(ModelStore(tmp_path), Settings())
    assert "vLLM transcribes at its URL, by openai_speech" in refusal.value.fix


# --- what changes with time ---------------------------------------------------------------------------------

NOON = int(datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp())


def seen(
    home: Path, now: float, *switches: Switch, endings: tuple[Ending, ...] = (), text: str = ""
) -> Catalogue:
    """The catalogue at a moment, with everything that ships installed."""
    pretend_installed(home, SMOLLM2, BASE, TINY)
    return at(document(home / "models.toml", text), ModelStore(home), now, switches, endings)


def switch(snapshot: str, moment: int, notes: str = "", alias: str = "whisper-1") -> Switch:
    return Switch(
        id=f"switch-{moment}", alias=alias, snapshot=snapshot, at=moment, notes=notes, announced_at=0
    )


def test_an_alias_means_what_the_file_says_for_each_day(tmp_path: Path) -> None:
    text = f"""
[aliases."whisper-1"]
snapshot = "{BASE}"
changes = [
    {{ since = 2026-12-03T09:00:00+01:00, snapshot = "{BASE}" }},
    {{ since = 2026-12-01, snapshot = "{TINY}", notes = "smaller" }},
]
"""
    day = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp())
    later = int(datetime(2026, 12, 3, 8, tzinfo=UTC).timestamp())
    for moment, means in ((day - 1, BASE), (day, TINY), (later - 1, TINY), (later, BASE)):
        assert seen(tmp_path, moment, text=text).resolve("whisper-1").id == means
    catalogue = seen(tmp_path, day - 1, text=text)
    assert [(one.since, one.notes) for one in catalogue.coming("whisper-1")] == [
        (day, "smaller"),
        (later, ""),
    ]
    assert catalogue.next_moment() == day


def test_what_was_switched_counts_from_its_moment_on(tmp_path: Path) -> None:
    switches = switch(TINY, NOON), switch(BASE, NOON + 60, "back")
    found = [seen(tmp_path, NOON + after, *switches).meaning("whisper-1") for after in (-1, 0, 59, 60)]
    assert found == [BASE, TINY, TINY, BASE]
    same = switch(TINY, NOON), switch(BASE, NOON)
    assert seen(tmp_path, NOON, *same).meaning("whisper-1") == BASE, "the later one counts"


def test_what_will_be_meant_is_started_before_and_what_was_meant_stays_on_demand(tmp_path: Path) -> None:
    planned = switch(TINY, NOON)
    early = seen(tmp_path, NOON - LEAD_SECONDS - 1, planned)
    assert TINY not in early.served and early.next_moment() == NOON - LEAD_SECONDS
    soon = seen(tmp_path, NOON - LEAD_SECONDS, planned)
    assert {TINY, BASE} <= soon.running and soon.next_moment() == NOON
    after = seen(tmp_path, NOON, planned)
    assert TINY in after.running and BASE not in after.running and BASE in after.served
    assert after.resolve(BASE).id == BASE and after.next_moment() is None
    store, settings = ModelStore(tmp_path), Settings()
    assert {d.snapshot: d.on_demand for d in after.deployments(store, settings) if d.task == "speech"} == {
        BASE: True,
        TINY: False,
    }


def test_what_has_ended_is_refused_and_names_what_to_use(tmp_path: Path) -> None:
    last = int(datetime(2026, 12, 31, tzinfo=UTC).timestamp())
    ending = Ending(
        snapshot=TINY, deprecated=date(2026, 12, 1), shutdown=date(2026, 12, 31), replacement="whisper-1"
    )
    switches = switch(TINY, NOON), switch(BASE, NOON + 60)
    before = seen(tmp_path, last - 1, *switches, endings=(ending,))
    assert before.resolve(TINY).shutdown == date(2026, 12, 31)
    assert before.next_moment() == last
    assert seen(tmp_path, NOON + 60, *switches, endings=(ending,)).next_moment() == last - LEAD_SECONDS
    after = seen(tmp_path, last, *switches, endings=(ending,))
    with pytest.raises(
        ModelNotFound, match=r"shut down on 2026-12-31\. Use 'whisper-1' instead\."
    ) as refusal:
        after.resolve(TINY)
    assert refusal.value.status == 404 and refusal.value.code == "model_not_found"
    assert TINY not in {model.id for model in after.models()} | after.served


def test_what_takes_the_place_of_what_has_ended_may_have_ended_too(tmp_path: Path) -> None:
    over = f'shutdown = 2026-12-01\nreplacement = "{BASE}"\n'
    text = f'[snapshots."{TINY}"]\n{over}\n[snapshots."{BASE}"]\nshutdown = 2026-12-01\n'
    with pytest.raises(ModelNotFound) as refusal:
        seen(tmp_path, NOON, text=text).resolve(TINY)
    assert refusal.value.message.endswith("It was shut down on 2026-12-01."), "nothing can be used instead"
    further = f'{text}replacement = "{SMOLLM2}"\n'
    with pytest.raises(ModelNotFound, match=f"Use '{SMOLLM2}' instead"):
        seen(tmp_path, NOON, text=further).resolve(TINY)


def test_a_replacement_that_is_no_longer_in_the_file_is_none(tmp_path: Path) -> None:
    ending = Ending(
        snapshot=BASE, deprecated=date(2026, 11, 1), shutdown=date(2026, 12, 1), replacement="gone-2020"
    )
    catalogue = seen(tmp_path, NOON, endings=(ending,))
    assert catalogue.meaning("whisper-1") == BASE in catalogue.ended
    with pytest.raises(ModelNotFound, match=r"shut down on 2026-12-01\.$"):
        catalogue.resolve("whisper-1")


def test_a_price_is_another_from_its_day_on(tmp_path: Path) -> None:
    day = int(datetime(2026, 12, 2, tzinfo=UTC).timestamp())
    text = f'[[snapshots."{SMOLLM2}".prices]]\nsince = 2026-12-02\ninput = "0.5"\n'
    assert [seen(tmp_path, now, text=text).next_moment() for now in (NOON, day)] == [day, None]


def test_an_alias_of_what_has_ended_means_the_replacement(tmp_path: Path) -> None:
    text = f'[snapshots."{BASE}"]\nshutdown = 2026-12-01\nreplacement = "{TINY}"\n'
    catalogue = seen(tmp_path, NOON, text=text)
    assert catalogue.resolve("whisper-1").id == TINY
    circle = f'{text}[snapshots."{TINY}"]\nshutdown = 2026-12-01\nreplacement = "whisper-1"\n'
    with pytest.raises(ModelNotFound):
        seen(tmp_path, NOON, text=circle).resolve("whisper-1")


def test_what_takes_the_place_of_what_ends_is_started_before(tmp_path: Path) -> None:
    last = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp())
    text = f'[snapshots."{BASE}"]\nshutdown = 2026-12-01\nreplacement = "{TINY}"\n'
    early = seen(tmp_path, last - LEAD_SECONDS - 1, text=text)
    assert TINY not in early.served and early.next_moment() == last - LEAD_SECONDS
    soon = seen(tmp_path, last - LEAD_SECONDS, text=text)
    assert {TINY, BASE} <= soon.running and soon.meaning("whisper-1") == BASE
    assert soon.next_moment() == last


def test_a_switch_to_what_is_no_longer_in_the_file_is_passed_over(tmp_path: Path) -> None:
    switches = switch("gone-2020", NOON), switch(TINY, NOON, alias="gone")
    assert seen(tmp_path, NOON, *switches).meaning("whisper-1") == BASE


def test_an_alias_may_be_taken_for_another_meaning(tmp_path: Path) -> None:
    catalogue = seen(tmp_path, NOON, switch(TINY, NOON))
    assert catalogue.resolve("whisper-1", BASE).id == BASE
    shown = {model.id: model.alias_of for model in catalogue.models({"whisper-1": BASE})}
    assert shown["whisper-1"] == BASE


def sold(home: Path, *instances: Instance, now: int = NOW) -> Catalogue:
    """The catalogue where these were sold, and the tiny model is installed and not served."""
    pretend_installed(home, BASE, TINY)
    return at(document(home / "models.toml", ""), ModelStore(home), now, instances=instances)


def test_an_instance_is_served_to_its_organization_alone(tmp_path: Path) -> None:
    catalogue = sold(tmp_path, instance(snapshot=TINY))
    assert catalogue.resolve(TINY, organization="org-1").id == TINY
    for organization in ("", "org-2"):
        with pytest.raises(ModelNotFound, match="installed, but not served"):
            catalogue.resolve(TINY, organization=organization)
    assert TINY in {model.id for model in catalogue.models(organization="org-1")}
    assert TINY not in {model.id for model in catalogue.models(organization="org-2")}
    assert TINY not in catalogue.served


def test_an_instance_runs_in_its_time(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path))
    one = instance(snapshot=TINY, begins_at=NOW + 10, ends_at=NOW + 20, server=settings.server)
    for now, moment, runs in ((NOW, NOW + 10, False), (NOW + 10, NOW + 20, True), (NOW + 20, None, False)):
        catalogue = sold(tmp_path, one, now=now)
        assert (catalogue.instances == [one]) == runs and catalogue.next_moment() == moment
        names = [d.name for d in catalogue.deployments(ModelStore(tmp_path), settings)]
        assert (f"{TINY}@dedicated_1" in names) == runs and BASE in names


def test_an_instance_outlives_its_snapshots_end(tmp_path: Path) -> None:
    pretend_installed(tmp_path, BASE)
    found = document(tmp_path / "models.toml", "")
    ending = (Ending(snapshot=BASE, deprecated=date(2019, 1, 1), shutdown=date(2020, 1, 1), replacement=""),)
    settings = Settings(home=str(tmp_path))
    own = (instance(server=settings.server),)
    catalogue = at(found, ModelStore(tmp_path), NOW, endings=ending, instances=own)
    assert catalogue.resolve(BASE, organization="org-1").id == BASE
    with pytest.raises(ModelNotFound, match="shut down"):
        catalogue.resolve(BASE, organization="org-2")
    assert "whisper-1" in {model.id for model in catalogue.models(organization="org-1")}
    [one] = catalogue.deployments(ModelStore(tmp_path), settings)
    assert one.instance == "dedicated_1"


def test_an_instance_of_what_is_not_there_does_not_run(tmp_path: Path) -> None:
    catalogue = sold(tmp_path, instance(snapshot=SMOLLM2), instance(id="d", snapshot="gone-2020"))
    assert catalogue.instances == [] and catalogue.next_moment() is None
    with pytest.raises(ModelNotFound):
        catalogue.resolve(SMOLLM2, organization="org-1")
