"""Other ways to put a question: the wordings of a pattern, how people type, and words that stand for each other."""

from __future__ import annotations

import re
from random import Random

# One of several wordings: `[how do i|how to]`.
PATTERN = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")

_BEFORE = {
    "en": (
        *(
            "hi, ",
            "hello, ",
            "hey, ",
            "hey hearth, ",
            "please ",
            "um, ",
            "so, ",
            "ok, ",
            "quick question: ",
            "question: ",
        ),
        *(
            "sorry, ",
            "excuse me, ",
            "I wonder: ",
            "can you tell me, ",
            "tell me: ",
            "I want to know: ",
            "one more thing: ",
        ),
        *(
            "help! ",
            "i'm new here. ",
            "I am not good with computers. ",
            "thanks. ",
            "great. ",
            "and ",
            "but ",
            "well, ",
        ),
    ),
    "zh": (
        *(
            "你好，",
            "您好，",
            "请问",
            "请问一下，",
            "我想知道",
            "我想问一下，",
            "那个，",
            "嗯，",
            "麻烦问一下，",
            "问个问题：",
            "帮我看看，",
        ),
        *(
            "我是新手，",
            "那",
            "对了，",
            "好的，",
            "谢谢，",
            "请告诉我",
            "告诉我",
            "想请教一下，",
            "hi，",
            "不好意思，",
            "再问一下，",
        ),
    ),
}
_AFTER = {
    "en": (
        *(
            " please",
            " thanks",
            " in Hearth",
            " in this app",
            " here",
            " on my computer",
            " thank you",
            ", please?",
            "??",
            "!",
        ),
        *(" ...", " exactly", " again", ", any idea?", " in hearth?", " with this program"),
    ),
    "zh": (
        "呢",
        "啊",
        "呀",
        "谢谢",
        "，谢谢",
        "？？",
        "！",
        "吗？",
        "啊？",
        "，求助",
        "，在 Hearth 里",
        "，急",
        "…",
        "，多谢",
    ),
}
# Words of one line stand for each other.
_ALIKE = {
    "en": (
        ("computer", "machine", "PC", "laptop", "device", "mac"),
        ("conversation", "chat", "thread", "talk"),
        ("conversations", "chats", "threads", "talks"),
        ("delete", "remove", "erase", "get rid of", "throw away"),
        ("change", "switch", "alter", "modify", "adjust"),
        ("show", "display", "bring up"),
        ("hide", "close", "put away"),
        ("big", "large"),
        ("bigger", "larger", "better", "stronger"),
        ("small", "little", "tiny"),
        ("folder", "directory"),
        ("use", "run", "work with"),
        ("add", "import", "bring in", "install", "load up"),
        ("stop", "cancel", "halt", "abort", "interrupt"),
        ("answer", "reply", "response"),
        ("answers", "replies", "responses"),
        ("question", "prompt", "message"),
        ("fast", "quick", "speedy"),
        ("slow", "sluggish"),
        ("memory", "RAM"),
        ("disk", "drive"),
        ("start", "open", "launch"),
        ("find", "see", "locate", "look up"),
        ("need", "require"),
        ("internet", "network", "connection", "online access"),
        ("app", "program", "application", "software"),
        ("error", "problem", "failure"),
        ("shortcut", "key", "hotkey", "key combination"),
        ("settings", "preferences", "options"),
        ("command", "instruction"),
        ("copy", "duplicate"),
        ("save", "keep", "store"),
        ("happens", "goes on"),
        (
            "how do i",
            "how can i",
            "how to",
            "what do i do to",
            "is there a way to",
            "i want to",
            "i'd like to",
            "how would i",
        ),
        ("can i", "may i", "is it possible to", "am i able to", "could i"),
        ("where is", "where's", "where do i find", "where can i see", "i can't find"),
        ("what is", "what's", "explain", "tell me about", "define"),
        ("why is", "why's", "how come"),
    ),
    "zh": (
        ("电脑", "机器", "计算机", "本机", "设备"),
        ("对话", "聊天", "会话"),
        ("删除", "删掉", "删了", "移除", "去掉", "清除"),
        ("更改", "修改", "改", "换", "切换", "调整"),
        ("显示", "看到"),
        ("隐藏", "关掉", "收起"),
        ("文件夹", "目录"),
        ("使用", "用", "运行"),
        ("导入", "添加", "加入", "装", "安装"),
        ("停止", "取消", "中断", "停下", "终止"),
        ("回答", "回复", "答案"),
        ("问题", "提问", "消息"),
        ("内存", "RAM"),
        ("启动", "打开", "开启"),
        ("找到", "看", "查看"),
        ("需要", "要"),
        ("网络", "互联网", "联网", "网"),
        ("程序", "软件", "应用"),
        ("错误", "故障"),
        ("快捷键", "按键", "组合键"),
        ("设置", "选项", "偏好设置"),
        ("命令", "指令"),
        ("保存", "存", "储存"),
        ("怎么", "如何", "怎样", "怎么样", "咋"),
        ("可以", "能", "能够", "能不能", "是否可以"),
        ("哪里", "哪儿", "什么地方", "哪"),
        ("什么是", "啥是", "解释一下", "介绍一下"),
        ("为什么", "为啥", "怎么会", "什么原因"),
        ("多少", "多大", "几"),
        ("吗", "么", "不"),
    ),
}

_EVERY_WORD = {
    language: {word.lower(): row for row in rows for word in row} for language, rows in _ALIKE.items()
}
_FINDS = {
    "en": re.compile(
        r"\b(" + "|".join(sorted(map(re.escape, _EVERY_WORD["en"]), key=len, reverse=True)) + r")\b", re.I
    ),
    "zh": re.compile("|".join(sorted(map(re.escape, _EVERY_WORD["zh"]), key=len, reverse=True))),
}


def expand(rng: Random, question: str) -> str:
    """The question with one of the wordings in each `[…|…]`."""
    filled = PATTERN.sub(lambda found: rng.choice(found.group(1).split("|")), question)
    return " ".join(filled.split())  # an empty wording leaves two spaces


def rephrase(rng: Random, question: str, language: str) -> str:
    """The question as somebody else might type it; about a third are left as they are."""
    if rng.random() < 0.35:
        return question
    if rng.random() < 0.5:
        question = _FINDS[language].sub(lambda found: _other(rng, found.group(), language), question)
    if rng.random() < 0.12:
        question = _drop_word(rng, question, language)
    if rng.random() < 0.25:
        question = _bare(question)
    if rng.random() < 0.15:
        question = rng.choice(_BEFORE[language]) + question
    if rng.random() < 0.12:
        question = _bare(question) + rng.choice(_AFTER[language])
    if language == "en":
        if rng.random() < 0.3:
            question = question.lower()
        elif rng.random() < 0.05:
            question = question.upper()
    if rng.random() < 0.08:
        question = _mistype(rng, question)
    return question


def _bare(question: str) -> str:
    """Without the mark at its end, where there is more than marks."""
    return question.rstrip("?.!？。！") or question


def _other(rng: Random, word: str, language: str) -> str:
    if rng.random() < 0.5:
        return word
    return rng.choice(_EVERY_WORD[language][word.lower()])


def _drop_word(rng: Random, question: str, language: str) -> str:
    words = question.split(" ") if language == "en" else list(question)
    if len(words) < 4:
        return question
    del words[rng.randrange(len(words))]
    return (" " if language == "en" else "").join(words)


def _mistype(rng: Random, question: str) -> str:
    """Two letters exchanged, one doubled, or one left out."""
    if len(question) < 6:
        return question
    place = rng.randrange(1, len(question) - 2)
    kind = rng.randrange(3)
    if kind == 0:
        return question[:place] + question[place + 1] + question[place] + question[place + 2 :]
    if kind == 1:
        return question[:place] + question[place] + question[place:]
    return question[:place] + question[place + 1 :]
