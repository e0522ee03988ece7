"""Says in plain words what the demo's three runs showed. Reads their folders; computes nothing that they do not hold."""
import json
import pathlib
import sys


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def series(lines, key):
    return [(line["step"], line[key]) for line in lines if line.get(key) is not None]


def sentence(name, lines):
    accuracy = series(lines, "heldout_accuracy")
    reward = series(lines, "reward")
    peak_step, peak = max(accuracy, key=lambda point: point[1])
    last_step, last = accuracy[-1]
    text = f"{name}: accuracy {accuracy[0][1]:.2f} -> {peak:.2f} at step {peak_step} -> {last:.2f} at step {last_step}"
    text += f"; its reward went {reward[0][1]:.2f} -> {reward[-1][1]:.2f}"
    return text, accuracy[0][1], peak, last


def main():
    out = pathlib.Path(sys.argv[1])
    mcs = json.loads((out / "mcs.json").read_text())
    print("\n[demo] What you just saw")
    results = {}
    for name in ("majority-vote", "trajectory-entropy", "ground-truth"):
        text, *results[name] = sentence(name, metrics(out / name))
        print("  " + text)
    half = mcs["collapse_steps"]["half-peak"]
    if half is None:
        print(f"  The majority-vote run did not collapse within {mcs['steps']} steps.")
    else:
        end = f"below 10 % at step {mcs['mcs']}" if mcs["mcs"] else f"still above 10 % at step {mcs['steps']}"
        print(f"  Majority vote collapsed: its reward accuracy was below half of its peak at step {half} and {end}."
              " Nothing in its reward showed it.")
    if mcs["label_free_peak_step"] is not None:
        alarm = "gave no alarm" if mcs["label_free_step"] is None else f"gave the alarm at step {mcs['label_free_step']}"
        print(f"  Without labels, the frozen base's view of the samples {alarm}"
              f" and would have kept step {mcs['label_free_peak_step']}.")
    base, peak, last = results["majority-vote"]
    rose, fell = peak - base, peak - last
    print(f"  So: without labels the model rose {100 * rose:.0f} points and then fell {100 * fell:.0f};"
          f" with labels it ended {100 * (results['ground-truth'][1] - results['ground-truth'][2]):.0f} points below its best.")
    print(f"  Report: {out / 'report.html'} (open it in a browser)")


if __name__ == "__main__":
    main()
