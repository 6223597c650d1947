"""From LiteLLM's config.yaml to an answer: two servers of OpenAI's API, imported, served and asked."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
from benchmarks.processes import Server, antiphon

from fake_openai import KEY, MODEL, FakeOpenAI, served

PROGRAM = str(Path(sys.executable).with_name("antiphon"))
CONFIG = """
model_list:
  - model_name: house-chat
    litellm_params:
      model: hosted_vllm/{model}
      api_base: http://127.0.0.1:{one}/v1
      api_key: os.environ/ONE
  - model_name: gpt-3.5-turbo
    litellm_params: {{model: openai/{model}, api_base: os.environ/OTHER_URL, api_key: {key}}}
router_settings:
  model_group_alias: {{gpt-4: house-chat}}
"""
UNUSED = (
    "gpt-3.5-turbo-0301", "gpt-3.5-turbo-0613", "gpt-3.5-turbo-16k", "gpt-3.5-turbo-16k-0613",
    "gpt-3.5-turbo-1106", "gpt-3.5-turbo-0125", "whisper-1",
)  # fmt: skip
"""Names that ship, taken away so that no engine runs here."""


@contextmanager
def upstreams(*fakes: FakeOpenAI) -> Iterator[list[int]]:
    """Their ports; they are served in a thread of their own."""
    loop, ports, ready, end = asyncio.new_event_loop(), [], threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with served(fakes[0]) as one, served(fakes[1]) as other:
            ports.extend((one, other))
            ready.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(30)
        yield ports
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(30)
        loop.close()


def imported(home: Path, config: Path, env_file: Path) -> str:
    words = ["import", "litellm", str(config), "--apply", "--env-file", str(env_file), "--home", str(home)]
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def said(server: Server, model: str) -> str:
    client = openai.OpenAI(
        base_url=server.url, api_key=server.key, max_retries=0,
        http_client=openai.DefaultHttpxClient(trust_env=False, timeout=120),
    )  # fmt: skip
    with client:
        answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}])
    return answer.choices[0].message.content or ""


def test_imported_names_are_answered_by_the_servers_that_they_meant(tmp_path: Path) -> None:
    one, other = FakeOpenAI("vllm", max_model_len=8192), FakeOpenAI()
    one.words, other.words = 2, 3
    home, config, env_file = tmp_path / "home", tmp_path / "config.yaml", tmp_path / ".env"
    home.mkdir()
    taken_away = "\n".join(f'"{name}" = false' for name in UNUSED)
    (home / "models.toml").write_text(f"[aliases]\n{taken_away}\n")
    with upstreams(one, other) as ports:
        config.write_text(CONFIG.format(one=ports[0], model=MODEL, key=KEY))
        env_file.write_text(f"ONE={KEY}\nOTHER_URL=http://127.0.0.1:{ports[1]}/v1\n")
        told = imported(home, config, env_file)
        assert KEY not in told
        for file in re.findall(rf"> ({re.escape(str(home))}/upstream-keys/[^)]+)\)", told):
            Path(file).parent.mkdir(exist_ok=True)
            Path(file).write_text(KEY)
        [allowed] = re.findall(r'upstreams = "(.+)"', told)
        with antiphon(home, {"ANTIPHON_UPSTREAMS": allowed}) as server:
            assert said(server, "house-chat") == said(server, "gpt-4") == " word0 word1"
            assert said(server, "gpt-3.5-turbo") == " word0 word1 word2"
    assert {body["model"] for body in (*one.bodies, *other.bodies)} == {MODEL}
