"""The models of this process as its lanes use them: what a window costs, and what is heard in a batch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from antiphon.errors import EngineFailed, InvalidRequest
from antiphon.workers.speech import whisper
from antiphon.workers.speech.languages import languages
from antiphon.workers.speech.models import Models
from antiphon.workers.speech.options import Options
from antiphon.workers.speech.schedule import Task
from antiphon.workers.speech.values import Heard, Job, Rung, Window
from antiphon.workers.speech.whisper import Shape, Whisper

_LOADED = 1.3
"""Memory of a loaded model in files of weights: the weights, and what a batch needs beside them."""

GPU_LANES = 2
"""All lanes take turns on a GPU: the second one gets a batch ready, more would only make batches smaller."""

_log = logging.getLogger(__name__)


class Transcriber:
    """Everything that knows of models. `hear` runs in the lanes' threads."""

    def __init__(self, options: Options) -> None:
        self.lanes = GPU_LANES if whisper.is_gpu(options.device) else options.threads
        """Batches that are heard at once."""
        self._device, self._precision = options.device, options.precision
        self._shape = Shape(beam=options.beam, pad=options.pad, floor=options.floor, step=options.step)
        self._weights = {name: weights(folder) for name, folder in options.models.items()}
        self._languages = {name: languages(folder) for name, folder in options.models.items()}
        self._aligns = {name: whisper.aligns(folder) for name, folder in options.models.items()}
        self._budget = options.budget
        self._models = Models(
            options.models, options.budget, self._load, lambda folder: _memory(weights(folder))
        )
        self.unusable: frozenset[str] = frozenset()
        """Models that `warm_up` found to be broken."""

    def warm_up(self) -> None:
        """Load the models that fit into memory together, and run each once; look at the files of the others.

        Raises `EngineFailed` if no model can be used.
        """
        left, unusable = self._budget, set()
        for name in self._weights:
            need = _memory(self._weights[name])
            # The first one that can be used may be larger than the budget.
            tried = need <= left or left == self._budget
            if not (self._runs(name) if tried else self._has_files(name)):
                unusable.add(name)
            elif tried:
                left -= need
        if left == self._budget:
            raise EngineFailed("No model can be used.")
        self.unusable = frozenset(unusable)

    def _runs(self, name: str) -> bool:
        """Whether a model can be used. A method, so that nothing holds the model when the next is loaded."""
        try:
            with self._models.use(name) as model:
                model.warm_up()
        except Exception as problem:
            # Of one model: the others are served all the same.
            _log.error("the model %s cannot be used: %s", name, type(problem).__name__)
            return False
        return True

    def _has_files(self, name: str) -> bool:
        there = self._weights[name] > 1 and self._languages[name] is not None
        if not there:
            _log.error("the model %s cannot be used: it lacks files", name)
        return there

    def serves(self, model: str) -> bool:
        return model in self._weights

    def use(self, model: str) -> AbstractContextManager[object]:
        """The model in memory for as long as the block runs; may wait. See `Models.use`."""
        return self._models.use(model)

    def refuse(self, job: Job) -> None:
        """Raise `InvalidRequest` for what the model cannot do, as the files beside its weights tell."""
        known = self._languages[job.model]
        if job.task == "translate" and known == frozenset({"en"}):
            raise InvalidRequest("The model knows English alone, and translates nothing.", param="model")
        if job.language is not None and known is not None and job.language not in known:
            raise InvalidRequest("The model does not know this language.", param="language")
        if job.words and not self._aligns[job.model]:
            raise InvalidRequest(
                "The model cannot tell when words are said.", param="timestamp_granularities"
            )

    def task(self, job: Job, window: Window, language: str | None, remaining: float) -> Task:
        """A window's first try. `remaining` is the cost of what is left of its recording."""
        task = Task(
            job=job,
            window=window,
            rung=Rung(job.temperature),
            language=job.language or language,
            key=None,
            cost=0.0,
            remaining=remaining,
        )
        self.renew(task)
        return task

    def renew(self, task: Task) -> None:
        """Set what follows from the rung that a task is on."""
        task.key = whisper.key(task.job, task.window, task.rung, self._shape)
        task.cost = whisper.cost(task.window, task.rung, self._shape, self._weights[task.job.model])

    def cost(self, job: Job, seconds: float) -> float:
        """What so much of a recording is expected to cost, in seconds of one lane."""
        return whisper.rate(self._shape, self._weights[job.model]) * max(0.0, seconds)

    def hear(self, tasks: Sequence[Task]) -> list[Heard | Rung]:
        """See `Whisper.hear`. Whoever wants these windows heard uses their model meanwhile."""
        with self._models.lent(tasks[0].job.model) as model:
            return model.hear(tasks)

    def _load(self, folder: Path) -> Whisper:
        return Whisper(folder, self._shape, lanes=self.lanes, device=self._device, precision=self._precision)


def _memory(weights: int) -> int:
    """Bytes that a model takes in memory."""
    return round(weights * _LOADED)


def weights(folder: Path) -> int:
    """Bytes of a model's weights; 1 where there are none, which is found out when it is loaded."""
    try:
        return (folder / "model.bin").stat().st_size
    except OSError:
        return 1
