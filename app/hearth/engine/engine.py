"""The engine: token ids in, token ids out, many sequences at once.

`step` is the whole algorithm: schedule, run, sample, append. It knows no text, no Qt and no SQL, and runs in one
thread. Continuous batching (Orca, Yu et al., 2022): a sequence joins and leaves between any two steps.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING, Final

import numpy as np

from hearth.engine.drafter import Drafter, LookupDrafter
from hearth.engine.drafting import Drafting
from hearth.engine.grammar import Grammar
from hearth.engine.model_runner import ModelRunner
from hearth.engine.outputs import ErrorInfo, FinishReason, RequestOutput
from hearth.engine.request import Request
from hearth.engine.sampler import TokenChooser
from hearth.engine.scheduler import PrefillChunk, Scheduler
from hearth.engine.sequence import Sequence
from hearth.errors import HearthError, ModelRunFailed, PromptTooLong, RequestInvalid
from hearth.i18n import tr

if TYPE_CHECKING:
    from hearth.engine.grammar_matcher import GrammarMatcher

log = logging.getLogger(__name__)

# How long a step with nothing to compute waits for a grammar: the host hears of an abort in between.
_PATIENCE_SECONDS: Final = 0.05


class Engine:
    """Answers requests over one ModelRunner.

    Attributes:
        runner: computes the logits.
        scheduler: decides what the next step computes.
        drafter: makes what guesses for a new request; None where no guesses are made.
    """

    def __init__(
        self,
        runner: ModelRunner,
        *,
        name: str = "model",
        step_seconds: float = 0.2,
        drafter: Callable[[], Drafter] | None = LookupDrafter,
        compile_grammar: Callable[[Grammar], Future[GrammarMatcher]] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.runner = runner
        self._name = name
        self.scheduler = Scheduler(runner, step_seconds)
        self.drafter = drafter if runner.can_score else None
        self._compile_grammar = compile_grammar
        self._clock = clock
        self._sequences: dict[str, Sequence] = {}
        self._compiling: dict[Sequence, Future[GrammarMatcher]] = {}
        self._arrivals = itertools.count()
        self._storing: Iterator[None] | None = None

    @property
    def has_work(self) -> bool:
        return bool(self._sequences)

    def submit(self, request: Request) -> None:
        """Queue a request; it takes part from the next step on.

        Raises:
            RequestInvalid: the prompt is empty, has ids outside the vocabulary, or a parameter has no meaning. Whether
                a grammar compiles shows later.
            PromptTooLong: the prompt leaves no room for an answer.
        """
        request.params.check()
        self._storing = None  # it may read a slot that the request gets
        if request.id in self._sequences:
            raise RequestInvalid(reason=tr("there is an open request {id} already", id=request.id))
        if not request.token_ids:
            raise RequestInvalid(reason=tr("the prompt is empty"))
        if not all(0 <= token < self.runner.vocab_size for token in request.token_ids):
            raise RequestInvalid(reason=tr("a token id is not below {size}", size=self.runner.vocab_size))
        if len(request.token_ids) >= self.runner.context_length:
            raise PromptTooLong(tokens=len(request.token_ids), limit=self.runner.context_length - 1)
        chooser = TokenChooser(request.params, request.token_ids, self.runner.vocab_size)
        drafting = Drafting(self.drafter()) if self.drafter else None
        sequence = Sequence(request, next(self._arrivals), chooser, self._clock(), drafting)
        if request.params.grammar is None:
            self.scheduler.add(sequence)
        elif self._compile_grammar is None:
            raise RequestInvalid(
                reason=tr("this model takes no grammar: {reason}", reason=tr("it has no tokenizer"))
            )
        else:
            self._compiling[sequence] = self._compile_grammar(request.params.grammar)
        self._sequences[request.id] = sequence

    def finish(self, request_id: str, reason: FinishReason) -> RequestOutput | None:
        """End a request between two steps and free its slot at once; None where it is not open."""
        sequence = self._sequences.get(request_id)
        return None if sequence is None else self._finish(sequence, reason)

    def abort(self, request_id: str) -> RequestOutput | None:
        return self.finish(request_id, FinishReason.ABORT)

    def step(self) -> list[RequestOutput]:
        """Compute one step; what every request gained in it."""
        outputs = self._take_compiled()
        try:
            batch = self.scheduler.schedule()
            started = self._clock()
            draft = self._draft(batch.decode)
        except HearthError as error:
            self.scheduler.drop_leftovers()  # the memory that held them may be gone
            return outputs + [self._fail(sequence, error) for sequence in list(self._sequences.values())]
        if draft:
            outputs += self._score(batch.decode[0], draft, started)
        elif batch.decode:
            outputs += self._decode(batch.decode)
        for chunk in batch.prefill:
            outputs += self._prefill(chunk)
        return outputs

    def tidy(self) -> bool:
        """Do a small piece of what can wait until nothing is asked for; whether there is more.

        That is storing what ended sequences have computed, the newest first.
        """
        if self.has_work:
            return False
        following = self.scheduler.slots.next_to_store()
        if following is None:
            return False
        slot, leftover = following
        if self._storing is None:
            self._storing = self.runner.store(slot, leftover.tokens, leftover.used)
        if self._storing is None or next(self._storing, self) is self:  # itself: there was no next piece
            leftover.is_stored = True
            self._storing = None
        return True

    def _take_compiled(self) -> list[RequestOutput]:
        """Queue the sequences whose grammars are compiled; those whose are not taken end."""
        if len(self._compiling) == len(self._sequences):  # there is nothing else to do
            wait(self._compiling.values(), _PATIENCE_SECONDS, FIRST_COMPLETED)
        outputs = []
        for sequence, compiled in list(self._compiling.items()):
            if not compiled.done():
                continue
            error = compiled.exception()
            if error is not None:
                if not isinstance(error, HearthError):  # of the library: it shall end this request alone
                    log.error("a grammar was not compiled", exc_info=error)
                    reason = tr("this model takes no grammar: {reason}", reason=repr(error)[:200])
                    error = RequestInvalid(reason=reason)
                outputs.append(self._fail(sequence, error))
                continue
            del self._compiling[sequence]
            self.scheduler.add(sequence)
            sequence.matcher = compiled.result()
            sequence.matcher.prepare()
        return outputs

    def _decode(self, sequences: list[Sequence]) -> list[RequestOutput]:
        started = self._clock()
        try:
            logits = self.runner.decode(
                sequences[0].slot, [sequence.token_ids[sequence.computed] for sequence in sequences]
            )
        except HearthError as error:
            return [self._fail(sequence, error) for sequence in sequences]
        self.scheduler.decode_seconds = self._clock() - started
        for sequence in sequences:
            sequence.computed += 1
        if len(sequences) == 1 and sequences[0].drafting:
            sequences[0].drafting.decoded(self.scheduler.decode_seconds)
        return self._sample(sequences, logits)

    def _draft(self, sequences: list[Sequence]) -> list[int]:
        """What may follow; only for a sequence that runs alone, since several share the reading of the weights."""
        if len(sequences) != 1:
            return []
        (sequence,) = sequences
        if sequence.drafting is None or sequence.computed != len(sequence.token_ids) - 1:
            return []
        left = self.runner.context_length - len(sequence.token_ids)
        if sequence.request.params.max_tokens is not None:
            left = min(left, sequence.request.params.max_tokens - sequence.generated_tokens)
        draft = sequence.drafting.propose(sequence.token_ids, left - 1)
        if sequence.matcher and draft:
            draft = draft[: sequence.matcher.count_accepted(draft)]
        return draft if draft and self.scheduler.has_room_beyond(len(draft)) else []

    def _score(self, sequence: Sequence, draft: list[int], started: float) -> list[RequestOutput]:
        """Check a draft: the tokens that the model chooses, up to the first that the draft has otherwise.

        What it gains is counted from `started`, when the guess was begun.
        """
        try:
            logits = self.runner.score(sequence.slot, [sequence.token_ids[sequence.computed], *draft])
        except HearthError as error:
            return [self._fail(sequence, error)]
        self.scheduler.decode_seconds = self._clock() - started
        outputs: list[RequestOutput] = []
        accepted = 0
        for row, guess in zip(logits, [*draft, None], strict=True):
            sequence.computed += 1
            outputs += self._sample([sequence], row[None])
            if outputs[-1].finish_reason is not None:
                return [_joined(outputs)]
            if sequence.token_ids[-1] != guess:
                break
            accepted += 1
        self.runner.truncate(sequence.slot, sequence.computed)
        if sequence.drafting:
            sequence.drafting.scored(len(draft), accepted, self.scheduler.decode_seconds)
        return [_joined(outputs)]

    def _prefill(self, chunk: PrefillChunk) -> list[RequestOutput]:
        sequence, started = chunk.sequence, self._clock()
        token_ids = sequence.token_ids[sequence.computed : sequence.computed + chunk.tokens]
        try:
            logits = self.runner.prefill(sequence.slot, token_ids)
        except HearthError as error:
            return [self._fail(sequence, error)]
        self.scheduler.pace.measured(chunk.tokens, self._clock() - started)
        sequence.computed += chunk.tokens
        progress = [RequestOutput(request_id=sequence.request.id, prefilled=sequence.computed)]
        if sequence.uncomputed:
            return [] if sequence.generated_tokens else progress
        self.scheduler.prefilled(sequence)
        outputs = self._sample([sequence], logits[None])
        for output in outputs:
            output.prefilled = sequence.prompt_tokens
        return outputs

    def _sample(self, sequences: list[Sequence], logits: np.ndarray) -> list[RequestOutput]:
        """Choose and append the next token of each sequence by its row of logits [n, vocab]."""
        outputs = []
        for row, sequence in zip(logits, sequences, strict=True):
            if not sequence.is_caught_up:
                continue
            try:
                outputs.append(self._append(sequence, self._choose(sequence, row), row))
            except HearthError as error:
                outputs.append(self._fail(sequence, error))
        return outputs

    def _choose(self, sequence: Sequence, logits: np.ndarray) -> int:
        """The next token of a sequence by its logits [vocab].

        Raises:
            ModelRunFailed: they are no numbers.
            RequestInvalid: the grammar leads nowhere.
        """
        allowed = sequence.matcher.restrict(logits) if sequence.matcher else logits
        best = int(allowed.argmax())
        if not np.isfinite(allowed[best]):  # argmax finds a NaN before any number
            raise ModelRunFailed(name=self._name, reason=tr("its logits are not numbers"))
        return best if sequence.chooser.is_plain_greedy else sequence.chooser.choose(allowed)

    def _fail(self, sequence: Sequence, error: HearthError) -> RequestOutput:
        output = self._finish(sequence, FinishReason.ERROR)
        output.error = ErrorInfo.of(error)
        return output

    def _append(self, sequence: Sequence, token: int, logits: np.ndarray) -> RequestOutput:
        now = self._clock()
        sequence.token_ids.append(token)
        sequence.chooser.record(token)
        sequence.last_token = now
        if sequence.generated_tokens == 1:
            sequence.first_token = now
        reason = self._reason_to_end(sequence, token)
        logprobs = sequence.chooser.logprobs(logits, token)
        output = (
            RequestOutput(request_id=sequence.request.id)
            if reason is None
            else self._finish(sequence, reason)
        )
        output.token_ids = [token]
        if logprobs is not None:
            output.logprobs = [logprobs]
        return output

    def _reason_to_end(self, sequence: Sequence, token: int) -> FinishReason | None:
        request, matcher = sequence.request, sequence.matcher
        if token in request.params.stop_token_ids:
            return FinishReason.STOP
        if token in request.eos_token_ids and (matcher or not request.params.ignore_eos):
            return FinishReason.STOP
        if matcher:
            matcher.accept(token)
            if matcher.is_finished:
                return FinishReason.STOP
            matcher.prepare()  # while the model computes
        if sequence.generated_tokens == request.params.max_tokens:
            return FinishReason.LENGTH
        if len(sequence.token_ids) >= self.runner.context_length:
            return FinishReason.LENGTH
        return None

    def _finish(self, sequence: Sequence, reason: FinishReason) -> RequestOutput:
        del self._sequences[sequence.request.id]
        compiling = self._compiling.pop(sequence, None)
        if compiling is not None:
            compiling.cancel()
        else:
            self.scheduler.remove(sequence, keep=reason is not FinishReason.ERROR)
        if not self.scheduler.slots.span():
            self.runner.release()
        return RequestOutput(
            request_id=sequence.request.id, finish_reason=reason, usage=sequence.usage(self._clock())
        )


def _joined(outputs: list[RequestOutput]) -> RequestOutput:
    """The outputs that one request had in one step as one."""
    joined = outputs[-1]
    joined.token_ids = [token for output in outputs for token in output.token_ids]
    joined.logprobs = [each for output in outputs for each in output.logprobs]
    return joined
