"""A page in headless Chromium, for tests of the report."""

import re
import shutil
import subprocess

import pytest

PROBE = """<script>
Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth > 300)).concat(
  [...document.querySelectorAll('audio')].map(a => new Promise(done => {
    a.preload = 'auto'; a.onloadedmetadata = () => done(a.duration > 0.3);
    a.onerror = () => done(false); a.load(); }))))
.then(all => {
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const fetched = performance.getEntriesByType('resource').filter(e => !/^data:/.test(e.name));
  document.title = `loaded ${all.filter(x => x).length} fetched ${fetched.length} over ${wide}`;
});
</script></body>"""
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    *("--virtual-time-budget=20000", "--dump-dom", "--window-size=1160,900"),
)


def look(html, folder):
    """(images and players that decode, files fetched, pixels beyond the window's width).

    Args:
        html: the page.
        folder: for files of this test.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if not program:
        pytest.skip("chromium is not installed")
    path = folder / "probe.html"
    path.write_text(html.replace("</body>", PROBE), encoding="utf-8")
    words = [program, *FLAGS, f"--user-data-dir={folder / 'profile'}", path.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    title = re.search(r"<title>loaded (\d+) fetched (\d+) over (-?\d+)</title>", done.stdout)
    assert title is not None, done.stderr[-2000:]
    return tuple(int(number) for number in title.groups())
