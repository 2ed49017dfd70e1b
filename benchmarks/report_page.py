"""How long a browser takes to open the report of a run over many files, and to search in it.

    python -m benchmarks.report_page [FILES]

Needs Chromium, and tests/ beside it. The records are made up: a third of the files each is done,
has failed, and was skipped; the page has 150 previews of a small picture.
"""

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from edsr_cli.report import About
from tests.report.chromium import Chromium
from tests.report.examples import done, failed, make_pictures, skipped, write_report

REPEATS = 5

OPENED = """new Promise(resume => requestAnimationFrame(() => setTimeout(() => {
  const [times] = performance.getEntriesByType('navigation');
  const painted = performance.getEntriesByName('first-contentful-paint')[0];
  resume([painted?.startTime ?? 0, times.domContentLoadedEventEnd, times.loadEventEnd]);
})))"""
SEARCHED = """(() => {
  const begin = performance.now(), search = document.querySelector('.filters input');
  search.value = '0777'; search.dispatchEvent(new Event('input'));
  document.body.offsetHeight;
  return performance.now() - begin;
})()"""
SHOWN = """(() => {
  const begin = performance.now();
  document.querySelector('#files details').open = true;
  document.body.offsetHeight;
  return performance.now() - begin;
})()"""


def main(count: int) -> None:
    """Write a report on so many files, and open it several times."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records = [make_pictures(done(f"a{n}.png", folder)) for n in range(150)]
        kinds = (done, failed, skipped)
        records += [kinds[n % 3](f"in/photo {n:06}.jpg") for n in range(count - len(records))]
        page = folder / "report.html"
        write_report(page, records, About((folder / "in",), (folder / "in_x4",)))
        print(f"{count:,} files, {page.stat().st_size / 1e6:.1f} MB")
        rows = []
        with Chromium(folder / "browser") as browser:
            for _ in range(REPEATS):
                begin = time.perf_counter()
                browser.open(page)
                times = [*browser.run(OPENED), 1000 * (time.perf_counter() - begin)]
                rows.append([*times, browser.run(SHOWN), browser.run(SEARCHED)])
    names = ("first paint", "scripts run", "loaded", "loaded, from outside", "list", "search")
    for label, values in zip(names, zip(*rows, strict=True), strict=True):
        print(f"{label}: {median(values):.0f} ms (at most {max(values):.0f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
