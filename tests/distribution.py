"""Build wheel and sdist, install the wheel alone and with extras, and use it (`make dist`)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"

CORE_ONLY = {
    "annotated-types", "anyio", "certifi", "h11", "httpcore", "httpx", "idna", "pydantic",
    "pydantic-core", "sniffio", "typing-extensions", "typing-inspection", "voyage-rag",
}  # fmt: skip
"""What an installation without extras may contain: httpx, pydantic, and their dependencies."""

WITHOUT_EXTRAS = """
import voyage_rag
voyage_rag.Voyage("a-key")
try:
    import voyage_rag.langchain
except ImportError as error:
    assert "voyage-rag[langchain]" in str(error), error
else:
    raise SystemExit("the LangChain classes were imported without langchain-core")
"""

WITH_EXTRAS = """
from voyage_rag import Voyage
from voyage_rag.emulator import Emulator
from voyage_rag.langchain import VoyageAIEmbeddings
from voyage_rag.llama_index import VoyageEmbedding

with Emulator() as url:
    direct = Voyage("a-key", base_url=url).embed(["a text"], "voyage-4", "document").embeddings
    chain = VoyageAIEmbeddings(model="voyage-4", api_key="a-key", base_url=url)
    index = VoyageEmbedding("voyage-4", api_key="a-key", base_url=url)
    assert direct == chain.embed_documents(["a text"]) == [index.get_text_embedding("a text")]
"""


def run(*command: object) -> str:
    """Run a command outside the checkout, where only what is installed can be imported."""
    with TemporaryDirectory() as elsewhere:
        words = [str(word) for word in command]
        done = subprocess.run(words, cwd=elsewhere, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def build() -> tuple[Path, Path]:
    """Build the wheel and the sdist, and check them as an index would."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    run(sys.executable, "-m", "twine", "check", "--strict", *DIST.iterdir())
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    return wheel, sdist


def check_contents(wheel: Path, sdist: Path) -> None:
    """The wheel contains only the package; the sdist also what its tests need."""
    names = zipfile.ZipFile(wheel).namelist()
    foreign = [name for name in names if not name.startswith(("voyage_rag/", "voyage_rag-"))]
    assert not foreign, foreign
    assert "voyage_rag/py.typed" in names, "the package has lost its types"
    with tarfile.open(sdist) as archive:
        inside = {name.split("/", 1)[-1] for name in archive.getnames()}
    tracked = run("git", "-C", ROOT, "ls-files").split("\n")
    needed = {name for name in tracked if name and "/." not in f"/{name}"}
    assert needed <= inside, needed - inside


def main() -> None:
    """Build, check and use."""
    wheel, sdist = build()
    check_contents(wheel, sdist)
    with TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        pip = [python, "-m", "pip", "--disable-pip-version-check"]
        run(*pip, "install", wheel)
        installed = run(*pip, "list", "--format=freeze").split()
        names = {line.split("==")[0].lower().replace("_", "-") for line in installed}
        extra = names - CORE_ONLY - {"pip", "setuptools"}
        assert not extra, f"installed without being asked for: {sorted(extra)}"
        run(python, "-c", WITHOUT_EXTRAS)
        run(*pip, "install", f"{wheel}[langchain,llama-index,emulator,cli]")
        run(python, "-c", WITH_EXTRAS)
        run(Path(folder, "bin", "voyage-rag"), "models")
        run(*pip, "install", "--force-reinstall", "--no-deps", sdist)
        run(python, "-c", WITH_EXTRAS)
    print(f"{wheel.name} and {sdist.name}: built, checked, installed and used")  # noqa: T201


if __name__ == "__main__":
    main()
