"""Renders the chats below with transformers, by the templates of tests/golden/chat_templates, which were written by hand to use
what the published templates of the model families use, and the rest of the language.

    pip install transformers==5.24.0 jinja2==3.1.6
    python tests/golden/make_chat_golden.py

Writes tests/golden/chat_cases.json: a list of {template, messages, tools?, add_generation_prompt, variables?, text}, where "text" is
null when transformers raises an error. The clock stands at 2024-07-26.
"""

import datetime
import json
import pathlib

HERE = pathlib.Path(__file__).parent
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a place, \"now\" & later.",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string", "description": "Köln, 東京"}, "days": {"type": "integer", "minimum": 1}},
            "required": ["place"],
        },
    },
}
CALL = {"type": "function", "id": "abcdefghi", "function": {"name": "weather", "arguments": {"place": "Zürich", "days": 2}}}

CHATS = [
    {"messages": [{"role": "user", "content": "What is 6 * 7?"}]},
    {"messages": [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "  Hi \n"}]},
    {
        "messages": [
            {"role": "system", "content": "You count."},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two\n"},
            {"role": "user", "content": "three 👍 \"quoted\" <b>&amp;</b>"},
        ]
    },
    {
        "messages": [
            {"role": "user", "content": "Think."},
            {"role": "assistant", "content": "<think>\nhm\n</think>\n\nDone."},
            {"role": "user", "content": "Again."},
            {"role": "assistant", "content": "<think>\nwell\n</think>\n\nDone twice."},
        ]
    },
    {"messages": [{"role": "user", "content": "Weather in Zürich?"}], "tools": [WEATHER]},
    {
        "messages": [
            {"role": "system", "content": "Use tools."},
            {"role": "user", "content": "Weather in Zürich?"},
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
            {"role": "tool", "name": "weather", "content": "{\"sky\": \"grey\"}"},
            {"role": "assistant", "content": "Grey."},
            {"role": "user", "content": "Thanks"},
        ],
        "tools": [WEATHER, WEATHER],
    },
    {
        "messages": [
            {"role": "user", "content": "Both"},
            {"role": "assistant", "content": "Let me look.", "tool_calls": [CALL, CALL]},
            {"role": "tool", "content": "a"},
            {"role": "tool", "content": "b"},
        ],
        "tools": [WEATHER],
    },
    {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]},
    {"messages": [{"role": "assistant", "content": "I begin.", "reasoning_content": "why not"}]},
    {"messages": [{"role": "user", "content": "No thinking"}], "variables": {"enable_thinking": False, "date_string": "1 May 2025"}},
    {"messages": [{"role": "user", "content": "Thinking"}], "variables": {"enable_thinking": True}},
]


def render(source, chat, add_generation_prompt, tokens=None):
    """As transformers does, or None where it raises."""
    from transformers.utils import chat_template_utils

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2024, 7, 26, 12, 0, 0, tzinfo=tz)

    chat_template_utils.datetime = Clock
    try:
        rendered, _ = chat_template_utils.render_jinja_template(
            conversations=[chat["messages"]],
            tools=chat.get("tools"),
            chat_template=source,
            add_generation_prompt=add_generation_prompt,
            **(TOKENS if tokens is None else tokens),
            **chat.get("variables", {}),
        )
    except Exception as error:
        print(type(error).__name__, str(error)[:100])
        return None
    return rendered[0]


def main():
    cases = []
    for file in sorted((HERE / "chat_templates").glob("*.jinja")):
        # Not read_text(), which changes line ends.
        source = file.read_bytes().decode()
        for chat in CHATS:
            for add_generation_prompt in [True, False]:
                text = render(source, chat, add_generation_prompt)
                cases.append({"template": file.name, **chat, "add_generation_prompt": add_generation_prompt, "text": text})
    (HERE / "chat_cases.json").write_text(json.dumps(cases, ensure_ascii=False, indent=0) + "\n")
    print(len(cases), "cases,", sum(case["text"] is None for case in cases), "of them errors")


if __name__ == "__main__":
    main()
