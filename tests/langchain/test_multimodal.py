"""VoyageAIMultimodalEmbeddings: the vendor's methods, and images in LangChain's vector stores."""

from __future__ import annotations

import base64
import pickle
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_tests.unit_tests import EmbeddingsUnitTests

from pictures import mp4, png
from voyage_rag import ConfigurationError, InvalidInputError
from voyage_rag.langchain import VoyageAIEmbeddings, VoyageAIMultimodalEmbeddings

if TYPE_CHECKING:
    from conftest import Runner
    from voyage_rag.emulator import Emulator

KEY = "pa-a-key-that-must-stay-secret"
COLOURS = ("red", "green", "blue")


class TestUnit(EmbeddingsUnitTests):
    """LangChain's own suite for construction."""

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return VoyageAIMultimodalEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": "voyage-multimodal-3.5", "api_key": KEY}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return {"VOYAGE_API_KEY": KEY}, {}, {"voyage_api_key": KEY}


@pytest.fixture
def embeddings(make: Any) -> VoyageAIMultimodalEmbeddings:
    return make(VoyageAIMultimodalEmbeddings, output_dimension=256)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures."""
    for colour in COLOURS:
        (tmp_path / f"{colour}.png").write_bytes(png(colour))
    return tmp_path


class PictureStore(InMemoryVectorStore):
    """With LangChain's convention for pictures, as its Chroma store follows it."""

    def add_images(self, uris: list[str]) -> list[str]:
        vectors = self.embedding.embed_image(uris=uris)  # type: ignore[attr-defined]
        for uri, vector in zip(uris, vectors, strict=True):
            self.store[uri] = {"id": uri, "vector": vector, "text": uri, "metadata": {}}
        return uris

    def similarity_search_by_image(self, uri: str, k: int = 4) -> list[Document]:
        [vector] = self.embedding.embed_image(uris=[uri])  # type: ignore[attr-defined]
        return self.similarity_search_by_vector(vector, k)


def test_a_folder_of_pictures_is_indexed_and_searched_by_words_and_by_image(
    embeddings: VoyageAIMultimodalEmbeddings, emulator: Emulator, folder: Path
) -> None:
    """Under 15 lines for a user."""
    store = PictureStore(embeddings)
    store.add_images([str(path) for path in sorted(folder.glob("*.png"))])
    for colour in COLOURS:
        [found] = store.as_retriever(search_kwargs={"k": 1}).invoke(f"something {colour}")
        assert Path(found.page_content).stem == colour
        [found] = store.similarity_search_by_image(str(folder / f"{colour}.png"), k=1)
        assert Path(found.page_content).stem == colour
    assert len(emulator.requests) == 1 + 2 * len(COLOURS)
    assert len(emulator.requests[0].body["inputs"]) == 3


@pytest.mark.parametrize("verb", ["embed_image", "embed_images"])
def test_images_are_embedded_by_uri(
    embeddings: VoyageAIMultimodalEmbeddings,
    emulator: Emulator,
    folder: Path,
    runner: Runner,
    verb: str,
) -> None:
    """Paths of either kind, file:// and data URLs, bytes; as documents, in one request."""
    path = folder / "red.png"
    data_url = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    vectors = runner.call(
        embeddings, verb, uris=[str(path), path, path.as_uri(), data_url, png("red")]
    )
    assert len(vectors) == 5
    assert len(set(map(tuple, vectors))) == 1
    assert len(vectors[0]) == 256
    [request] = emulator.requests
    assert request.body["input_type"] == "document"
    assert {item["content"][0]["type"] for item in request.body["inputs"]} == {"image_base64"}


@pytest.mark.parametrize(
    "as_given", [Path, str, Path.read_bytes, lambda path: BytesIO(path.read_bytes())]
)
def test_one_image_need_not_be_in_a_list(
    embeddings: VoyageAIMultimodalEmbeddings, folder: Path, runner: Runner, as_given: Any
) -> None:
    """A string is a path, and no list of letters; a file is no list of lines."""
    vectors = runner.call(embeddings, "embed_images", as_given(folder / "red.png"))
    assert vectors == embeddings.embed_images([folder / "red.png"])


def test_urls_are_left_to_the_service(
    embeddings: VoyageAIMultimodalEmbeddings, emulator: Emulator, runner: Runner
) -> None:
    url = "https://example.com/no-ending-here"
    runner.call(embeddings, "embed_image", [url])
    assert emulator.requests[0].body["inputs"] == [
        {"content": [{"type": "image_url", "image_url": url}]}
    ]


def test_a_hundred_images_take_one_request(
    embeddings: VoyageAIMultimodalEmbeddings, emulator: Emulator, runner: Runner
) -> None:
    assert len(runner.call(embeddings, "embed_images", [png()] * 100)) == 100
    assert len(emulator.requests) == 1


def test_texts_go_to_the_multimodal_endpoint(
    embeddings: VoyageAIMultimodalEmbeddings, emulator: Emulator, runner: Runner
) -> None:
    runner.call(embeddings, "embed_documents", ["a", "b"])
    runner.call(embeddings, "embed_query", "https://example.com/is-text.png")
    assert [(r.path, r.body["input_type"]) for r in emulator.requests] == [
        ("/v1/multimodalembeddings", "document"),
        ("/v1/multimodalembeddings", "query"),
    ]
    assert emulator.requests[1].body["inputs"][0]["content"][0]["type"] == "text"


def test_the_text_class_sends_a_multimodal_model_there_too(
    make: Any, emulator: Emulator, runner: Runner
) -> None:
    made = make(VoyageAIEmbeddings, model="voyage-multimodal-3.5", output_dimension=512)
    [vector] = runner.call(made, "embed_documents", ["a"])
    assert emulator.requests[0].path == "/v1/multimodalembeddings"
    assert len(vector) == 512


@pytest.mark.parametrize("input_type", ["document", "query", None])
def test_texts_images_and_videos_interleaved(
    embeddings: VoyageAIMultimodalEmbeddings,
    emulator: Emulator,
    folder: Path,
    runner: Runner,
    input_type: Any,
) -> None:
    vectors = runner.call(
        embeddings,
        "embed_multimodal",
        [["a picture", folder / "red.png", "and a film", mp4()], ["text"]],
        input_type=input_type,
    )
    assert [len(vector) for vector in vectors] == [256, 256]
    [request] = emulator.requests
    assert request.body.get("input_type") == input_type
    assert [segment["type"] for segment in request.body["inputs"][0]["content"]] == [
        *("text", "image_base64", "text", "video_base64")
    ]


def test_the_apis_own_dictionaries(
    embeddings: VoyageAIMultimodalEmbeddings, emulator: Emulator, runner: Runner
) -> None:
    inputs = [
        {
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": "https://example.com/a"},
            ]
        }
    ]
    [vector] = runner.call(embeddings, "embed_multimodal_from_dicts", inputs)
    assert len(vector) == 256
    assert emulator.requests[0].body["inputs"] == inputs
    assert emulator.requests[0].body["input_type"] == "document"


def test_dtype_and_downscaling_are_honoured(make: Any, emulator: Emulator, runner: Runner) -> None:
    import PIL.Image

    made = make(VoyageAIMultimodalEmbeddings, output_dtype="int8", downscale=True)
    [vector] = runner.call(made, "embed_image", [PIL.Image.new("L", (3_000, 2_000))])
    assert len(vector) == 1024
    assert {type(number) for number in vector} == {float}
    data = emulator.requests[0].body["inputs"][0]["content"][0]["image_base64"]
    assert len(data) < 20_000


def test_a_missing_file_is_named(
    embeddings: VoyageAIMultimodalEmbeddings, emulator: Emulator, folder: Path, runner: Runner
) -> None:
    with pytest.raises(InvalidInputError, match=r"inputs\[1\]: .*No such file.*grey.png"):
        runner.call(embeddings, "embed_image", [folder / "red.png", folder / "grey.png"])
    assert emulator.requests == []


def test_models_of_text_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="'voyage-4' embeds texts only"):
        VoyageAIMultimodalEmbeddings(model="voyage-4", api_key=KEY)


def test_a_copy_keeps_its_settings(make: Any) -> None:
    made = make(VoyageAIMultimodalEmbeddings, output_dimension=512, downscale=True)
    copied = pickle.loads(pickle.dumps(made))
    assert copied.model_dump() == made.model_dump()
    assert (copied.output_dimension, copied.downscale) == (512, True)


def test_half_a_character_beside_an_image_may_be_replaced(
    make: Any, emulator: Emulator, runner: Runner
) -> None:
    embeddings = make(VoyageAIMultimodalEmbeddings, invalid_text="replace")

    runner.call(embeddings, "embed_multimodal", [["half \ud83d", png("red")]])

    [request] = emulator.requests
    assert request.body["inputs"][0]["content"][0]["text"] == "half \ufffd"
