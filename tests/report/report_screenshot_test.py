"""Opens a report in headless Chromium and looks: are the charts drawn, is every run's line there, in light and dark,
wide and narrow, without an error on the console, whatever a model wrote.

The page gives an account of what it drew when it is opened with #check (page.js); the pixels of a screenshot are
counted here as well. Without a Chromium the tests are skipped, which they say.
"""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib
from html.parser import HTMLParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import synthetic_run  # noqa: E402

BINARY_DIR = Path(os.environ.get("WHET_BINARY_DIR", "build"))
CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
RUNS = list(synthetic_run.KINDS)
DARK = "--blink-settings=preferredColorScheme=0"


def write_report(runs, output):
    subprocess.run([BINARY_DIR / "whet", "report", *runs, "--out", output], check=True, stdout=subprocess.DEVNULL)


def browse(folder, url, *flags, size=(1200, 1000)):
    """Runs Chromium on a page; what it printed, and the lines of its console."""
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
         "--enable-logging=stderr", f"--user-data-dir={folder}/profile", f"--window-size={size[0]},{size[1]}",
         "--virtual-time-budget=5000", *flags, url],
        capture_output=True, text=True, timeout=120)
    return done.stdout, [line for line in re.findall(r".*CONSOLE.*", done.stderr) if "willReadFrequently" not in line]


class Account(HTMLParser):
    """The data-* attributes by which the page says what it drew."""

    def __init__(self, text):
        super().__init__()
        self.root, self.ink, self.maps, self.steps, self.tags = {}, {}, {}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        if tag == "html":
            self.root = attributes
        if "data-map-ink" in attributes:
            self.maps[attributes["data-map"]] = [int(count) for count in attributes["data-map-ink"].split()]
        if "data-ink" in attributes:
            self.ink[attributes["data-chart"]] = [int(count) for count in attributes["data-ink"].split()]


def pixels(path):
    """Width, height and rows of an 8-bit RGB or RGBA PNG."""
    data = path.read_bytes()
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack_from(">IIBB", body)
            assert depth == 8 and color in (2, 6), (depth, color)
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    size = 3 if color == 2 else 4
    raw, stride = zlib.decompress(packed), width * size
    rows, above = [], bytearray(stride)
    for y in range(height):
        kind = raw[y * (stride + 1)]
        row = bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for i in range(stride if kind else 0):
            left = row[i - size] if i >= size else 0
            if kind == 1:
                guess = left
            elif kind == 2:
                guess = above[i]
            elif kind == 3:
                guess = (left + above[i]) // 2
            else:
                corner = above[i - size] if i >= size else 0
                a, b, c = abs(above[i] - corner), abs(left - corner), abs(left + above[i] - 2 * corner)
                guess = left if a <= b and a <= c else above[i] if b <= c else corner
            row[i] = (row[i] + guess) & 255
        rows.append([bytes(row[x:x + 3]) for x in range(0, stride, size)])
        above = row
    return width, height, rows


@unittest.skipIf(CHROMIUM is None, "no Chromium found")
class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temp = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        cls.folder = Path(cls.temp.name)
        for kind in RUNS:
            synthetic_run.write_run(cls.folder / kind, kind)
        cls.page = cls.folder / "report.html"
        write_report([cls.folder / kind for kind in RUNS], cls.page)

    @classmethod
    def tearDownClass(cls):
        cls.temp.cleanup()

    def account(self, *flags, size=(1200, 1000), page=None):
        dom, console = browse(self.folder, f"file://{page or self.page}#check", "--dump-dom", *flags, size=size)
        self.assertEqual(console, [])
        account = Account(dom)
        self.assertEqual(account.root.get("data-errors"), "")
        return account

    def check_drawn(self, account):
        for chart in ["heldout_accuracy", "reward_accuracy", "base_logprob", "majority_ratio", "token_entropy",
                      "length"]:
            self.assertEqual(len(account.ink[chart]), len(RUNS), chart)
            for count in account.ink[chart]:
                self.assertGreater(count, 100, (chart, account.ink))
        for index in range(len(RUNS)):  # pseudo-reward and true reward
            self.assertEqual(len(account.ink[f"reward-{index}"]), 2)
            for count in account.ink[f"reward-{index}"]:
                self.assertGreater(count, 50, account.ink)
            self.assertEqual(len(account.ink[f"foretold-{index}"]), 2)  # measured and foretold
            for count in account.ink[f"foretold-{index}"]:
                self.assertGreater(count, 50, account.ink)
            self.assertEqual(len(account.maps[str(index)]), 2)  # problems that were right and wrong at first
            for count in account.maps[str(index)]:
                self.assertGreater(count, 1000, account.maps)
        self.assertEqual(int(account.root["data-charts"]), len(account.ink))
        self.assertLessEqual(int(account.root["data-overflow"]), 0, "the page is wider than its window")

    def test_draws_every_run_in_every_chart(self):
        wide, narrow = (1200, 1000), (480, 1000)
        for name, flags, size in [("light", [], wide), ("dark", [DARK], wide), ("narrow", [], narrow)]:
            with self.subTest(name):
                self.check_drawn(self.account(*flags, size=size))

    def test_screenshots_show_a_light_and_a_dark_page(self):
        for name, flags, is_dark in [("light", [], False), ("dark", [DARK], True)]:
            with self.subTest(name):
                image = self.folder / f"{name}.png"
                _, console = browse(self.folder, f"file://{self.page}", f"--screenshot={image}", *flags,
                                    size=(800, 1400))
                self.assertEqual(console, [])
                width, height, rows = pixels(image)
                counts = {}
                for row in rows:
                    for color in row:
                        counts[color] = counts.get(color, 0) + 1
                most = max(counts, key=counts.get)
                self.assertEqual(sum(most) < 3 * 64, is_dark, most)
                self.assertLess(counts[most], 0.9 * width * height, "the screenshot is blank")
                self.assertGreater(len(counts), 100, "text and lines have many shades")

    def test_what_a_model_writes_stays_text(self):
        text = self.page.read_text()
        self.assertIn("&lt;/script&gt;&lt;script&gt;document.title", text)  # it is there, and is text
        account = self.account()
        self.assertNotIn("img", account.tags)
        self.assertEqual(account.tags.count("script"), 3)  # data, library, page
        dom, _ = browse(self.folder, f"file://{self.page}", "--dump-dom")
        self.assertIn("<title>3 runs on sort-digits", dom)

    def test_one_pointer_moves_through_all_charts_and_runs_can_be_hidden(self):
        page = self.folder / "moved.html"
        script = """<script>
          const over = document.querySelector('[data-chart=heldout_accuracy] .u-over');
          const box = over.getBoundingClientRect();
          const at = { bubbles: true, clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 };
          over.dispatchEvent(new MouseEvent('mouseenter', at));
          over.dispatchEvent(new MouseEvent('mousemove', at));
          setTimeout(() => {
            const root = document.documentElement;
            const steps = [...document.querySelectorAll('#main-charts [data-chart] .step')];
            root.dataset.steps = steps.map((s) => s.textContent).join('|');
            document.querySelector('#legend button').click();
            document.querySelector('#theme').click();
            root.dataset.names = document.querySelector('[data-chart=length] .values').textContent;
            root.dataset.moved = 'yes';
          }, 1000);
          setTimeout(() => dispatchEvent(new Event('account')), 1500);
        </script>"""
        page.write_text(self.page.read_text().replace("</body>", script + "</body>"))
        account = self.account(page=page)
        self.assertEqual(account.root["data-moved"], "yes")
        steps = account.root["data-steps"].split("|")
        self.assertEqual(set(steps), {"step 150"}, steps)
        self.assertEqual(len(steps), 13)
        self.assertEqual(account.root["data-theme"], "dark")
        self.assertNotIn(RUNS[0], account.root["data-names"])
        self.assertIn(RUNS[1], account.root["data-names"])
        self.assertEqual(account.ink["length"][0], 0)
        self.assertGreater(account.ink["length"][1], 100)


if __name__ == "__main__":
    unittest.main()
