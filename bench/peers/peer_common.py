"""What the peers of this folder that stand on transformers share: problems, tokens, one line of JSON at the end."""
import json
import pathlib
import resource
import warnings

warnings.filterwarnings("ignore")


def read_problems(path):
    return [json.loads(line)["prompt"] for line in pathlib.Path(path).read_text().splitlines()]


def majority_vote(completions, samples):
    """1 for the rollouts of a group that give its most frequent answer: what stands behind `#`."""
    import collections

    rewards = []
    for first in range(0, len(completions), samples):
        group = completions[first:first + samples]
        answers = [text[1:] if text[:1] == "#" and text[1:].isdigit() else None for text in group]
        votes = collections.Counter(answer for answer in answers if answer is not None)
        winner = votes.most_common(1)[0][0] if votes else None
        rewards += [float(answer is not None and answer == winner) for answer in answers]
    return rewards


def report(**values):
    """Peak memory is the process's largest resident set so far, libraries included."""
    values["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(values))
