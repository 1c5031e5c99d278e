"""How good the starter is: every question greedily, through Hearth's own engine, on the folder that ships.

    python packaging/starter/evaluate.py MODEL_FOLDER [--data ../shared/data/eval] [--out scores.json] [--show]

What is counted:

- `help`: paraphrases in `evaluation/<language>.jsonl`, by somebody who had not seen the training questions. Right is an
  answer that holds one text of each list in `must`.
- `sums`: pairs that training never saw, not as a step of another sum either. Right is an answer that ends in the result.
- `outside`: questions of public benchmarks that no starter can answer. Right is an honest refusal that names the way to
  a bigger model. Left out where `--data` has none.
- `false refusals`: refusals among the help questions and sums.
- `two turns`: a name told in the turn before last, a sum that goes on from the last, an answer said again.
- `ended`: answers that ended by themselves within 200 tokens.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import sums
from names import NAMES

from hearth.engine.host.protocol import ChatMessage, EngineOptions, Submit
from hearth.engine.ort_backend import OrtBackend
from hearth.engine.outputs import FinishReason
from hearth.engine.sampling_params import SamplingParams
from hearth.model_folder.folder import ModelFolder

HERE = Path(__file__).parent
MOST_TOKENS = 200
SUMS = 300  # in each language
GSM8K = 200
REFUSAL = {
    "en": ("small starter model,", "bigger model can help"),
    "zh": ("小小入门模型，", "更大的模型可以帮你"),
}
# Names that training never saw.
STRANGERS = {
    "en": ("Rupert", "Ingrid", "Salma", "Benedikt", "Thandiwe"),
    "zh": ("刘备", "慕容雪", "欧阳锋", "佩奇", "阿宝"),
}


@dataclass
class Case:
    """A conversation whose last answer is judged.

    Attributes:
        group: what it counts for, such as `help en`.
        messages: user and assistant in turns, a question last; a `None` is answered by the model itself.
        is_right: judges the last answer.
        answer, ended: what came.
    """

    group: str
    messages: list[str | None]
    is_right: Callable[[str], bool]
    answer: str = ""
    ended: bool = False


def is_refusal(answer: str) -> bool:
    """Whether it says honestly that this is beyond the starter, and what to do."""
    return any(all(text in answer for text in texts) for texts in REFUSAL.values())


def has(must: list[list[str]]) -> Callable[[str], bool]:
    return lambda answer: (
        not is_refusal(answer)
        and all(any(text.lower() in answer.lower() for text in texts) for texts in must)
    )


def ends_in(number: int) -> Callable[[str], bool]:
    return lambda answer: answer.rstrip(".。").endswith(f"= {number}")


def help_cases(language: str) -> list[Case]:
    lines = (HERE / "evaluation" / f"{language}.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return [Case(f"help {language}", [row["question"]], has(row["must"])) for row in rows]


def sum_cases(language: str) -> list[Case]:
    rng = Random(f"sums {language}")
    # A pair of one step is a step of other sums, which training does see.
    unseen = [pair for pair in sums.held_out() if sums.answer(*pair, language).count("=") > 1]
    pairs = rng.sample(unseen, SUMS)
    return [
        Case(f"sums {language}", [sums.ask(rng, a, sign, b, language)], ends_in(sums.result(a, sign, b)))
        for a, sign, b in pairs
    ]


def outside_cases(data: Path) -> list[Case]:
    mt_bench = [
        json.loads(line) for line in (data / "mt_bench_questions.jsonl").read_text("utf-8").splitlines()
    ]
    gsm8k = json.loads((data / "gsm8k_test.json").read_text("utf-8"))[:GSM8K]
    cases = [Case("outside mt_bench", [row["turns"][0]], is_refusal) for row in mt_bench]
    return cases + [Case("outside gsm8k", [row["instruction"]], is_refusal) for row in gsm8k]


def two_turn_cases() -> list[Case]:
    cases: list[Case] = []
    rng = Random("two turns")
    for language, told, asked, again in (
        ("en", "My name is {}.", "What is my name?", "Please say that again."),
        ("zh", "我叫{}", "我叫什么名字？", "请再说一遍"),
    ):
        names = (*STRANGERS[language], *rng.sample(NAMES[language], 10))
        cases += [Case("two turns: name", [told.format(name), None, asked], has([[name]])) for name in names]
        for _ in range(25):
            a, b, c = rng.randint(5, 40), rng.randint(5, 40), rng.randint(3, 19)
            first, then = f"{a} + {b}", f"and plus {c}?" if language == "en" else f"再加{c}呢？"
            cases += [Case("two turns: sum", [first, None, then], ends_in(a + b + c))]
        chosen = rng.sample(help_cases(language), 25)
        cases += [Case("two turns: again", [case.messages[0], None, again], case.is_right) for case in chosen]
    return cases


def run(backend: OrtBackend, cases: list[Case]) -> None:
    """Answer the cases; those with open turns in the middle are answered turn by turn."""
    while True:
        waiting = {}
        for number, case in enumerate(cases):
            if not case.answer:
                cut = case.messages.index(None) if None in case.messages else len(case.messages)
                waiting[str(number)] = (case, cut)
                roles = ("user", "assistant")
                messages = [
                    ChatMessage(roles[i % 2], text or "") for i, text in enumerate(case.messages[:cut])
                ]
                params = SamplingParams(temperature=0, max_tokens=MOST_TOKENS)
                backend.submit(Submit(request_id=str(number), params=params, messages=messages))
        if not waiting:
            return
        texts = dict.fromkeys(waiting, "")
        while backend.has_work:
            for output in backend.step():
                texts[output.request_id] += output.text
                if output.finish_reason is not None:
                    case, cut = waiting[output.request_id]
                    if cut < len(case.messages):
                        case.messages[cut] = texts[output.request_id] or " "
                    else:
                        case.answer = texts[output.request_id] or " "
                        case.ended = output.finish_reason is FinishReason.STOP


def scores(cases: list[Case]) -> dict[str, dict[str, float]]:
    """For each group: how many cases, and the share that is right."""
    result: dict[str, dict[str, float]] = {}
    for group in dict.fromkeys(case.group for case in cases):
        judged = [case.is_right(case.answer) for case in cases if case.group == group]
        result[group] = {"cases": len(judged), "share": round(sum(judged) / len(judged), 4)}
    own = [case for case in cases if case.group.startswith(("help", "sums"))]
    result["false refusals"] = {
        "cases": len(own),
        "share": round(sum(is_refusal(case.answer) for case in own) / len(own), 4),
    }
    result["ended"] = {"cases": len(cases), "share": round(sum(case.ended for case in cases) / len(cases), 4)}
    return result


def main() -> int:
    arguments = argparse.ArgumentParser(description="Score the starter.")
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data" / "eval")
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--show", action="store_true", help="print every answer that is not right")
    options = arguments.parse_args()
    engine = EngineOptions(threads=options.threads, kv_cache_bytes=1 << 28, max_slots=8)
    backend = OrtBackend(ModelFolder.open(options.folder), "hearth-starter", engine)
    cases = [case for language in ("en", "zh") for case in (*help_cases(language), *sum_cases(language))]
    cases += two_turn_cases()
    if options.data.is_dir():
        cases += outside_cases(options.data)
    run(backend, cases)
    if options.show:
        for case in cases:
            if not case.is_right(case.answer):
                print(f"{case.group} | {case.messages[-1]} | {case.answer}")
    result = scores(cases)
    for group, score in result.items():
        print(f"{group}: {score['share']:.1%} of {score['cases']}")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
