"""Pictures instead of text: a folder searched in words, through both frameworks.

The pictures are embedded once, through LangChain, and LlamaIndex is handed those vectors. No
reranker follows, since rerankers take text only: the nearest vectors are the answer.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import ImageNode

from voyage_rag import langchain, llama_index
from voyage_rag.demo.bill import Bill, Item
from voyage_rag.demo.corpus import Passage
from voyage_rag.demo.errors import DemoError
from voyage_rag.demo.options import PICTURE_MODEL, RERANK_MODEL, SHOWN
from voyage_rag.demo.questions import Question
from voyage_rag.demo.report import Plan, Report
from voyage_rag.demo.run import ask_all, item_of, questions_item, reach, tell, timed
from voyage_rag.demo.search import Answer, Hit
from voyage_rag.demo.show import busy, show_heading, show_plan
from voyage_rag.errors import InvalidInputError
from voyage_rag.models import kind_of
from voyage_rag.types import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from voyage_rag.demo.options import Options
    from voyage_rag.demo.report import Exchange
    from voyage_rag.demo.search import Service

SUFFIXES = (".gif", ".jpeg", ".jpg", ".png", ".webp")

EXAMPLE = 'voyage-rag demo "a red circle" --images pictures/'


def run_pictures(options: Options, out: Console, err: Console, began: float) -> Report:
    """Run the demo over pictures.

    Args:
        options: What to do; `images` is set.
        out: Where answers go.
        err: Where the announcement and the progress go when `out` is for JSON.
        began: When the run began, by `time.perf_counter`.

    Raises:
        DemoError: There is nothing to search or to ask, or a picture cannot be embedded.
        VoyageError: The service, or the emulator, would not answer.
    """
    seconds = {"importing": time.perf_counter() - began}
    screen = err if options.as_json else out
    _check(options)
    questions = tuple(Question(text) for text in options.questions)
    with reach(options) as (service, emulated):
        with timed(seconds, "reading"), busy(screen, "Looking at the pictures"):
            pictures, text = _pictures(options)
            forecast = _foresee(pictures, service)
        plan = Plan(emulated, service, text, pictures, questions, forecast, of_pictures=True)
        if not (options.as_json and emulated):
            show_plan(screen, plan)
        exchanges, bill = _search(plan, seconds, screen, None if options.as_json else out)
    seconds["total"] = time.perf_counter() - began
    report = Report(plan, exchanges, bill, seconds)
    tell(report, options, out)
    return report


def _check(options: Options) -> None:
    if options.files:
        raise DemoError("give either --files or --images: text and pictures are searched apart")
    if not options.questions:
        raise DemoError(f"say what to look for in the pictures, e.g. {EXAMPLE}")
    if not all(text.strip() for text in options.questions):
        raise DemoError("a question is empty: write it in quotes")
    if options.rerank_model != RERANK_MODEL:
        raise DemoError("leave out --rerank-model: rerankers take text only, no pictures")
    if kind_of(options.model) != "multimodal":
        raise DemoError(f"{options.model} takes no pictures: use --model {PICTURE_MODEL}")


def _pictures(options: Options) -> tuple[tuple[Passage, ...], str]:
    folder = options.images or Path()
    if not folder.is_dir():
        why = "is a file" if folder.exists() else "does not exist"
        raise DemoError(f"--images takes a folder of pictures: {folder} {why}")
    try:
        found = [
            _as_passage(path)
            for path in sorted(folder.iterdir())
            if path.suffix.lower() in SUFFIXES and path.is_file() and path.name[0] != "."
        ]
    except OSError as error:
        raise DemoError(f"cannot read {folder}: {error.strerror}") from None
    if not found:
        raise DemoError(f"no pictures in {folder}: expected {', '.join(SUFFIXES)} files")
    taken = tuple(found[: options.limit])
    count = f"{len(taken):,}"
    if len(taken) < len(found):
        count += f" of {len(found):,}"
    return taken, f"{count} {'picture' if len(found) == 1 else 'pictures'} of {folder}"


def _as_passage(path: Path) -> Passage:
    """What stands for a picture in a result; its text is shown and not embedded."""
    kilobytes = path.stat().st_size / 1_000
    body = f"{path.suffix[1:].upper()}, {kilobytes:,.1f} kB"
    return Passage(path.name, f"{path.name}\n{body}", str(path), 0)


def _foresee(pictures: Sequence[Passage], service: Service) -> Bill:
    """Count what the pictures will take, and refuse by name what is over the limits."""
    tokens = pixels = 0
    with service.connect() as client:
        for picture in pictures:
            try:
                counted = client.count_usage([Image(Path(picture.source))], service.model)
            except InvalidInputError as error:
                why = str(error).removeprefix("inputs[0]: ").removesuffix(" [input 0]")
                why = why.replace("pass downscale=True, or a smaller image", "make it smaller")
                raise DemoError(f"cannot embed {picture.source}: {why}") from error
            tokens += counted["total_tokens"]
            pixels += counted["image_pixels"]
    return Bill((Item("pictures", service.model, tokens, pixels=pixels),))


def _search(
    plan: Plan, seconds: dict[str, float], screen: Console, answers: Console | None
) -> tuple[tuple[Exchange, ...], Bill]:
    service, progress = plan.service, screen.is_terminal
    with closing(LangChainPictures(plan.passages, service, show_progress=progress)) as first:
        with timed(seconds, "embedding"):
            vectors = first.index()
        for_pictures = first.embedder.usage
        with timed(seconds, "indexing"), busy(screen, "Handing the vectors to LlamaIndex"):
            second = LlamaIndexPictures(plan.passages, vectors, service)
        if answers:
            if progress:
                answers.print()
            show_heading(answers, plan)
        with timed(seconds, "asking"):
            exchanges = tuple(ask_all(plan, first, second, answers))
    embedding = first.embedder.usage + second.embedder.usage
    return exchanges, Bill(
        (
            item_of("pictures", service.model, for_pictures),
            questions_item(service.model, embedding, for_pictures),
        )
    )


class LangChainPictures:
    """`InMemoryVectorStore` over the vectors of `embed_images`.

    Attributes:
        embedder: The client that embeds; its `usage` tells what that took.
    """

    def __init__(
        self, pictures: Sequence[Passage], service: Service, *, show_progress: bool = False
    ) -> None:
        self._pictures = pictures
        self.embedder = service.connect()
        self._embeddings = langchain.VoyageAIMultimodalEmbeddings(
            model=service.model, client=self.embedder, show_progress_bar=show_progress
        )
        self._store = InMemoryVectorStore(self._embeddings)

    def index(self) -> list[list[float]]:
        """Embed and store the pictures, and return their vectors."""
        vectors = self._embeddings.embed_images([Path(each.source) for each in self._pictures])
        for place, (picture, vector) in enumerate(zip(self._pictures, vectors, strict=True)):
            # The store embeds the text of what it is given, and a picture has none.
            self._store.store[str(place)] = {
                "id": str(place),
                "vector": vector,
                "text": picture.name,
                "metadata": {"position": place},
            }
        return vectors

    def ask(self, question: str) -> Answer:
        """Find the nearest pictures, synchronously."""
        start = time.perf_counter()
        found = self._store.similarity_search_with_score(question, k=SHOWN)
        seconds = time.perf_counter() - start
        hits = (
            Hit(self._pictures[document.metadata["position"]], float(score))
            for document, score in found
        )
        return Answer(tuple(hits), seconds)

    def close(self) -> None:
        """Close the connections."""
        self.embedder.close()


class LlamaIndexPictures:
    """`VectorStoreIndex` over image nodes and its retriever, asynchronously.

    Attributes:
        embedder: The client that embeds; its `usage` tells what that took.
    """

    def __init__(
        self, pictures: Sequence[Passage], vectors: Sequence[list[float]], service: Service
    ) -> None:
        self._pictures = pictures
        self.embedder = service.connect()
        embedding = llama_index.VoyageEmbedding(service.model, client=self.embedder)
        nodes = [
            # The index leaves out nodes without text, so each bears its file's name.
            ImageNode(
                id_=str(place), text=picture.name, image_path=picture.source, embedding=vector
            )
            for place, (picture, vector) in enumerate(zip(pictures, vectors, strict=True))
        ]
        index = VectorStoreIndex(nodes, embed_model=embedding)
        self._retriever = index.as_retriever(similarity_top_k=SHOWN)

    async def ask(self, question: str) -> Answer:
        """Find the nearest pictures, asynchronously."""
        start = time.perf_counter()
        found = await self._retriever.aretrieve(question)
        seconds = time.perf_counter() - start
        hits = (Hit(self._pictures[int(each.node.node_id)], each.score or 0.0) for each in found)
        return Answer(tuple(hits), seconds)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self.embedder.aclose()
