"""The text that the starter is trained on: conversations, drawn without end from the lessons by one seed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import names
import problems
import sums
from phrasing import PATTERN, expand, rephrase

# How many turns a conversation has, and how often.
_TURNS = ((1, 88), (2, 9), (3, 3))

_THANKS = {
    "en": (
        "thanks",
        "thank you",
        "Thanks!",
        "thanks a lot",
        "great, thank you",
        "thx",
        "Thank you very much.",
    ),
    "zh": ("谢谢", "谢谢你", "多谢", "好的谢谢", "非常感谢", "谢啦"),
}
_REPEAT = {
    "en": (
        *(
            "Can you say that again?",
            "repeat that please",
            "Say it again",
            "what did you say?",
            "Pardon?",
            "once more",
        ),
        *("Please repeat.", "sorry, what?", "come again?", "could you repeat your answer?", "What was that?"),
    ),
    "zh": (
        "再说一遍",
        "请重复一下",
        "你刚才说什么？",
        "再说一次好吗",
        "没听清，再说一遍",
        "重复一遍",
        "刚才说的是什么",
        "能再说一次吗？",
    ),
}
_MORE = {
    "en": (
        *(
            "Tell me more.",
            "where can I read more about that?",
            "more details please",
            "I want to know more",
            "go on",
        ),
        *(
            "Can you explain that further?",
            "and what else?",
            "more",
            "Where is this explained?",
            "more about this",
        ),
    ),
    "zh": (
        "再多说一点",
        "详细说说",
        "在哪里可以了解更多？",
        "还有呢？",
        "更多细节",
        "想了解更多",
        "继续说",
        "哪里有更详细的说明",
    ),
}
_MORE_ANSWER = {
    "en": "The help has more: press `F1` and open the page “{title}”.",
    "zh": "帮助里有更多内容：按 `F1`，打开「{title}」这一页。",
}
_OTHER_LANGUAGE = {  # asked in the language that the answer shall have
    "zh": (
        "用中文说",
        "请用中文回答",
        "中文呢？",
        "说中文",
        "能用中文说一遍吗？",
        "in Chinese please",
        "say it in Chinese",
    ),
    "en": (
        "In English please",
        "say that in English",
        "English please",
        "and in English?",
        "用英文说",
        "请用英语再说一遍",
    ),
}
_MY_NAME = {
    "en": (
        "My name is {name}.",
        "my name is {name}",
        "I am {name}",
        "I'm {name}.",
        "Call me {name}",
        "Hi, I am {name}!",
        "hello, my name is {name}",
    ),
    "zh": (
        "我叫{name}",
        "我的名字是{name}",
        "你好，我叫{name}。",
        "我是{name}",
        "叫我{name}吧",
        "大家都叫我{name}",
    ),
}
_NICE = {
    "en": "Nice to meet you, {name}! What would you like to know about Hearth?",
    "zh": "很高兴认识你，{name}！想了解 Hearth 的什么呢？",
}
_ASK_NAME = {
    "en": (
        "What is my name?",
        "what's my name",
        "Do you remember my name?",
        "who am I?",
        "Do you know my name?",
        "say my name",
        "tell me my name",
    ),
    "zh": (
        "我叫什么名字？",
        "我叫什么？",
        "你记得我的名字吗？",
        "我是谁？",
        "你知道我叫什么吗",
        "说出我的名字",
    ),
}
_YOUR_NAME = {"en": "Your name is {name}.", "zh": "你叫{name}。"}
_NO_NAME = {
    "en": "You have not told me your name in the last two turns, and I remember no more than those.",
    "zh": "在最近两轮对话里你没有告诉我名字，更早的我记不住。",
}


# Beside the lessons.
_OTHER_TOPICS = {"sum", "again", "more", "name told", "name asked", "name unknown"}
# How often help is asked for by keywords alone, and what stands around them.
_KEYWORDS_SHARE = 0.2
_ABOUT = {
    "en": (
        *(
            "{}",
            "{}",
            "{}",
            "{}?",
            "something about {}",
            "what about {}",
            "I have a question about {}",
            "tell me about {}",
        ),
        *(
            "{} please",
            "it is about {}",
            "how does {} work",
            "problem with {}",
            "i need {}",
            "where is {}",
            "can I {}",
        ),
    ),
    "zh": (
        *(
            "{}",
            "{}",
            "{}",
            "{}？",
            "关于{}",
            "{}怎么弄",
            "我想问{}",
            "说说{}",
            "{}是怎么回事",
            "{}在哪里",
            "{}怎么办",
        ),
        *("想了解{}", "{}相关的问题", "能不能{}", "怎么{}"),
    ),
}
# Of the many questions of one lesson about what is outside, so many say where its words stand.
_SOME = 300
# A pattern stands for many questions.
_PATTERN_WEIGHT = 5


@dataclass(frozen=True)
class Turn:
    """One question with its answer.

    Attributes:
        topic: what the answer is about; the starter decides on it first. See `vocabulary.py`.
        is_fixed: whether the answer to this topic is always the same in this language.
        is_lesson: whether the question is one of a lesson's, so that its words alone tell the topic.
    """

    question: str
    answer: str
    language: str
    topic: str
    is_fixed: bool = True
    is_lesson: bool = False


class Corpus:
    """Draws conversations from the lessons in `file`, as `lessons.py` writes them.

    Args:
        mixture: what a turn is about, and how often: `help`, `outside`, `sum`, `talk`, `problem`.
    """

    def __init__(self, file: Path, seed: int, mixture: dict[str, int]) -> None:
        self._rng = Random(seed)
        self._mixture = mixture
        self._lessons: dict[tuple[str, str], list[dict]] = defaultdict(list)
        self._answers: dict[tuple[str, str], str] = {}
        self._weights: dict[tuple[str, str], list[int]] = {}
        for lesson in json.loads(file.read_text("utf-8")):
            self._lessons[lesson["kind"], lesson["language"]].append(lesson)
            self._answers[lesson["id"], lesson["language"]] = lesson["answer"]
            self._weights[lesson["id"], lesson["language"]] = [
                _PATTERN_WEIGHT if PATTERN.search(question) else 1 for question in lesson["questions"]
            ]

    def conversations(self) -> Iterator[list[Turn]]:
        """Conversations of one to three turns, without end."""
        rng = self._rng
        while True:
            language = rng.choice(("en", "zh"))
            if rng.random() < 0.08:
                yield self._about_a_name(language)
                continue
            turns: list[Turn] = []
            (length,) = rng.choices([n for n, _ in _TURNS], [share for _, share in _TURNS])
            while len(turns) < length:
                if turns and rng.random() < 0.05:
                    language = "en" if language == "zh" else "zh"
                turns += self._turns(language, follow_up=len(turns) + 1 < length or rng.random() < 0.3)
            yield turns

    def topics(self) -> list[str]:
        """Everything that an answer can be about."""
        return sorted({topic for topic, _ in self._answers} | _OTHER_TOPICS)

    def asked(self) -> Iterator[tuple[str, str]]:
        """Questions with their topics: all of help and small talk, and some of what is outside."""
        rng = self._rng
        for lessons in self._lessons.values():
            for lesson in lessons:
                questions = lesson["questions"]
                if len(questions) > _SOME:
                    questions = rng.sample(questions, _SOME)
                for question in questions:
                    for _ in range(3 if PATTERN.search(question) else 1):
                        yield expand(rng, question), lesson["id"]
                for text in (*lesson["keywords"], lesson["answer"]):
                    yield text, lesson["id"]

    def texts(self) -> list[str]:
        """All questions and answers once, and some sums: what the tokenizer is made from."""
        texts = [
            text
            for lessons in self._lessons.values()
            for lesson in lessons
            for text in (*lesson["questions"], *lesson["keywords"], *[lesson["answer"]] * 8)
        ]
        texts += ["user\n", "assistant\n"] * 1000  # one token each: they stand in every turn
        texts += [
            turn.question + "\n" + turn.answer
            for _ in range(4000)
            for turn in self._about_numbers("en", False)
        ]
        return texts

    def _turns(self, language: str, *, follow_up: bool) -> list[Turn]:
        rng = self._rng
        (kind,) = rng.choices(list(self._mixture), list(self._mixture.values()))
        if kind == "sum":
            return self._about_numbers(language, follow_up and rng.random() < 0.5)
        if kind == "problem":
            answer = self._answers["word problems", language]
            return [Turn(problems.draw(rng, language), answer, language, "word problems")]
        lesson = rng.choice(self._lessons[kind, language])
        if kind == "outside":  # by questions, since some of these lessons are much wider than others
            lessons = self._lessons[kind, language]
            (lesson,) = rng.choices(lessons, [len(each["questions"]) ** 0.5 for each in lessons])
        turns = [Turn(self._question(lesson), lesson["answer"], language, lesson["id"], is_lesson=True)]
        if follow_up and rng.random() < 0.3:
            turns.append(self._follow_up(lesson, language))
        return turns

    def _question(self, lesson: dict) -> str:
        """One way to ask for this lesson: a few of its keywords, or one of its questions."""
        rng, language = self._rng, lesson["language"]
        if lesson["keywords"] and rng.random() < _KEYWORDS_SHARE:
            words = rng.sample(lesson["keywords"], min(rng.choice((1, 2, 2, 3)), len(lesson["keywords"])))
            between = " " if language == "en" else rng.choice(("", " ", "，"))
            return rephrase(rng, rng.choice(_ABOUT[language]).format(between.join(words)), language)
        weights = self._weights[lesson["id"], language]
        (question,) = rng.choices(lesson["questions"], weights)
        return rephrase(rng, expand(rng, question), language)

    def _follow_up(self, lesson: dict, language: str) -> Turn:
        rng = self._rng
        kinds = ["thanks", "repeat"] + (
            ["more", "more", "language", "language"] if lesson["kind"] == "help" else []
        )
        kind = rng.choice(kinds)
        if kind == "thanks":
            return Turn(rng.choice(_THANKS[language]), self._answers["thanks", language], language, "thanks")
        if kind == "repeat":
            return Turn(rng.choice(_REPEAT[language]), lesson["answer"], language, "again", is_fixed=False)
        if kind == "more":
            answer = _MORE_ANSWER[language].format(title=lesson["title"])
            return Turn(rng.choice(_MORE[language]), answer, language, "more", is_fixed=False)
        other = "en" if language == "zh" else "zh"
        answer = self._answers[lesson["id"], other]
        return Turn(rng.choice(_OTHER_LANGUAGE[other]), answer, other, lesson["id"])

    def _about_numbers(self, language: str, go_on: bool) -> list[Turn]:
        rng = self._rng
        a, sign, b, question = sums.draw(rng, language)
        spoken = sums.answer_language(question, language)
        turns = [Turn(question, sums.answer(a, sign, b, spoken), language, "sum", is_fixed=False)]
        before = sums.result(a, sign, b)
        following = sums.draw_next(rng, language, before) if go_on else None
        if following:
            sign, b, question = following
            if sums.answer_language(question, language) == language:
                spoken = language  # a bare `+ 5` goes on in the language of the answer before
            answer = sums.answer(before, sign, b, spoken)
            turns.append(Turn(question, answer, language, "sum", is_fixed=False))
        return turns

    def _about_a_name(self, language: str) -> list[Turn]:
        rng = self._rng
        name = names.draw(rng, language)
        asked = rng.choice(_ASK_NAME[language])
        if rng.random() < 0.2:
            before = self._turns(language, follow_up=False) if rng.random() < 0.5 else []
            return [*before, Turn(asked, _NO_NAME[language], language, "name unknown")]
        told, nice = rng.choice(_MY_NAME[language]).format(name=name), _NICE[language].format(name=name)
        turns = [Turn(told, nice, language, "name told", is_fixed=False)]
        if rng.random() < 0.2:
            return turns
        if rng.random() < 0.4:
            turns += self._turns(language, follow_up=False)
        answer = _YOUR_NAME[language].format(name=name)
        return [*turns, Turn(asked, answer, language, "name asked", is_fixed=False)]
