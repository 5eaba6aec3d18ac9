"""VoyageEmbedding with images and videos, its index, and images among what is ranked."""

from __future__ import annotations

import base64
import logging
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.embeddings import MultiModalEmbedding
from llama_index.core.indices import MultiModalVectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import (
    ImageNode,
    MediaResource,
    Node,
    NodeWithScore,
    QueryBundle,
    TextNode,
)
from PIL import Image as Pillow

from pictures import mp4, png
from voyage_rag import InvalidInputError
from voyage_rag.llama_index import VoyageAIRerank, VoyageEmbedding

if TYPE_CHECKING:
    from conftest import Runner
    from voyage_rag.emulator import Emulator

MODEL = "voyage-multimodal-3.5"
COLOURS = ("red", "green", "blue")

both = pytest.mark.parametrize("runner", ["sync", "asyncio"], indirect=True)
"""LlamaIndex sends lists with asyncio.gather, so they are not for trio."""


@pytest.fixture
def embedding(make: Any) -> VoyageEmbedding:
    return make(VoyageEmbedding, MODEL, output_dimension=256)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures."""
    for colour in COLOURS:
        (tmp_path / f"{colour}.png").write_bytes(png(colour))
    return tmp_path


def types_sent(emulator: Emulator) -> list[list[str]]:
    return [
        [segment["type"] for segment in item["content"]]
        for request in emulator.requests
        for item in request.body["inputs"]
    ]


def test_it_is_a_multimodal_embedding(embedding: VoyageEmbedding) -> None:
    assert isinstance(embedding, MultiModalEmbedding)


IMAGES = [
    lambda folder: str(folder / "red.png"),
    lambda folder: folder / "red.png",
    lambda folder: (folder / "red.png").read_bytes(),
    lambda folder: BytesIO((folder / "red.png").read_bytes()),
    lambda folder: Pillow.open(folder / "red.png"),
    lambda _: "data:image/png;base64," + base64.b64encode(png("red")).decode(),
]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_may_come_in_many_ways(
    embedding: VoyageEmbedding, emulator: Emulator, folder: Path, runner: Runner, image: Any
) -> None:
    """The same bytes have the same vector, of the requested dimension, as a document."""
    given = image(folder)
    vector = runner.call(embedding, "get_image_embedding", given)
    expected = embedding.voyage.multimodal_embed(
        [png("red")], MODEL, "document", output_dimension=256
    )
    assert [vector] == expected.embeddings
    assert emulator.requests[0].body["input_type"] == "document"
    assert emulator.requests[0].body["output_dimension"] == 256
    if isinstance(given, Pillow.Image):
        given.close()


@both
def test_one_image_need_not_be_in_a_list(
    embedding: VoyageEmbedding, folder: Path, runner: Runner
) -> None:
    """A string is a path, and no list of letters."""
    path = folder / "red.png"
    for one in (path, str(path)):
        vectors = runner.call(embedding, "get_image_embedding_batch", one)
        assert vectors == [embedding.get_image_embedding(path)]


def test_an_image_behind_a_url(
    embedding: VoyageEmbedding, emulator: Emulator, runner: Runner
) -> None:
    runner.call(embedding, "get_image_embedding", "https://example.com/a")
    assert types_sent(emulator) == [["image_url"]]


@both
def test_a_batch_of_images_takes_few_requests(
    embedding: VoyageEmbedding, emulator: Emulator, runner: Runner
) -> None:
    vectors = runner.call(embedding, "get_image_embedding_batch", [BytesIO(png())] * 100)
    assert len(vectors) == 100
    assert len(emulator.requests) == 1


def test_dtype_and_prompt_are_honoured(make: Any, emulator: Emulator, runner: Runner) -> None:
    embedding = make(
        VoyageEmbedding, MODEL, output_dtype="int8", image_input_type=None, downscale=True
    )
    image = Pillow.new("L", (3_000, 2_000))
    vector = runner.call(embedding, "get_image_embedding", image)
    assert {type(number) for number in vector} == {int}
    assert "input_type" not in emulator.requests[0].body
    assert len(emulator.requests[0].body["inputs"][0]["content"][0]["image_base64"]) < 20_000


def test_videos(
    embedding: VoyageEmbedding, emulator: Emulator, tmp_path: Path, runner: Runner
) -> None:
    (tmp_path / "film.mp4").write_bytes(mp4())
    one = runner.call(embedding, "get_video_embedding", tmp_path / "film.mp4")
    two = runner.call(embedding, "get_video_embeddings", [str(tmp_path / "film.mp4"), mp4()])
    runner.call(embedding, "get_video_embedding", mp4(), input_type="query")
    assert two == [one, one]
    assert [request.body["input_type"] for request in emulator.requests] == [
        *("document", "document", "query")
    ]
    assert len(one) == 256


def test_interleaved_inputs(
    embedding: VoyageEmbedding, emulator: Emulator, folder: Path, runner: Runner
) -> None:
    vectors = runner.call(
        embedding, "get_multimodal_embeddings", [["a", folder / "red.png", "b"], "c"]
    )
    assert types_sent(emulator) == [["text", "image_base64", "text"], ["text"]]
    assert [len(vector) for vector in vectors] == [256, 256]


@both
def test_plain_texts_go_to_the_right_endpoint(
    embedding: VoyageEmbedding, emulator: Emulator, runner: Runner
) -> None:
    runner.call(embedding, "get_query_embedding", "a")
    runner.call(embedding, "get_text_embedding", "a")
    [vector, _] = runner.call(embedding, "get_text_embedding_batch", ["a", "https://b.c/d.png"])
    assert {request.path for request in emulator.requests} == {"/v1/multimodalembeddings"}
    assert types_sent(emulator) == [["text"]] * 4
    assert [request.body["input_type"] for request in emulator.requests] == [
        *("query", "document", "document")
    ]
    assert len(vector) == 256


@pytest.mark.parametrize("model", ["voyage-4", "voyage-context-4"])
def test_models_of_text_refuse_images(
    make: Any, emulator: Emulator, runner: Runner, model: str
) -> None:
    with pytest.raises(InvalidInputError, match="not for multimodal_embed; models for multimodal"):
        runner.call(make(VoyageEmbedding, model), "get_image_embedding", png())
    assert emulator.requests == []


def test_an_index_of_a_folder_is_searched_by_words_and_by_image(
    embedding: VoyageEmbedding, emulator: Emulator, folder: Path
) -> None:
    """Under 15 lines for a user. LlamaIndex leaves out nodes without text or metadata."""
    nodes = [
        ImageNode(image_path=str(path), metadata={"file": path.name})
        for path in sorted(folder.glob("*.png"))
    ]
    index = MultiModalVectorStoreIndex(nodes, embed_model=embedding, image_embed_model=embedding)
    retriever = index.as_retriever(image_similarity_top_k=1)
    for colour in COLOURS:
        [found] = retriever.text_to_image_retrieve(f"something {colour}")
        assert Path(found.node.image_path).stem == colour  # type: ignore[attr-defined]
        query = QueryBundle(query_str="", image_path=str(folder / f"{colour}.png"))
        [found] = retriever.image_to_image_retrieve(query)
        assert Path(found.node.image_path).stem == colour  # type: ignore[attr-defined]
    assert types_sent(emulator)[:3] == [["image_base64"]] * 3
    assert len(emulator.requests[0].body["inputs"]) == 3


def test_an_index_over_texts_causes_a_warning(
    embedding: VoyageEmbedding, caplog: pytest.LogCaptureFixture
) -> None:
    """Only once, and only if it embeds nodes: such an index does not embed images."""
    image = ImageNode(image=base64.b64encode(png()).decode(), metadata={"file": "a"})
    with caplog.at_level(logging.WARNING, "voyage_rag"):
        VectorStoreIndex(embedding([image]), embed_model=embedding)
        assert caplog.records == []
        for _ in range(2):
            VectorStoreIndex([TextNode(text="words")], embed_model=embedding)
    [record] = caplog.records
    assert "use MultiModalVectorStoreIndex" in record.getMessage()


def nodes_with_media(folder: Path) -> list[Any]:
    red = folder / "red.png"
    return [
        TextNode(text="words"),
        ImageNode(image_path=str(red), metadata={"file_path": str(red)}),
        ImageNode(text="a caption", image=base64.b64encode(png()).decode()),
        ImageNode(image_url="https://example.com/a"),
        Node(image_resource=MediaResource(data=png())),
        Node(
            text_resource=MediaResource(text="a film"),
            video_resource=MediaResource(data=mp4()),
            image_resource=MediaResource(path=red),
        ),
    ]


@pytest.mark.parametrize("way", ["sync", "async"])
def test_nodes_are_embedded_with_their_images_and_videos(
    embedding: VoyageEmbedding, emulator: Emulator, folder: Path, way: str
) -> None:
    """As a transformation: text, if there is some, then media."""
    import asyncio

    pipeline = IngestionPipeline(transformations=[embedding], disable_cache=True)
    nodes = nodes_with_media(folder)
    run = {
        "sync": lambda: pipeline.run(nodes=nodes),
        "async": lambda: asyncio.run(pipeline.arun(nodes=nodes)),
    }[way]
    given = run()
    assert all(len(node.embedding or []) == 256 for node in given)
    by_way = sorted(types_sent(emulator), key=lambda types: "image_url" in types)
    assert by_way == [
        ["text"],
        ["image_base64"],
        ["text", "image_base64"],
        ["image_base64"],
        ["text", "image_base64", "video_base64"],
        ["image_url"],
    ]


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_the_url_of_a_node_names_no_file(
    embedding: VoyageEmbedding, emulator: Emulator, folder: Path, prefix: str
) -> None:
    """It may come from a page or dataset of another author."""
    path = prefix + str(folder / "red.png")
    nodes: list[Any] = [ImageNode(image_url=path)]
    if prefix:
        nodes.append(Node(image_resource=MediaResource(url=path)))  # type: ignore[arg-type]
    for node in nodes:
        with pytest.raises(InvalidInputError, match=r"must contain an http\(s\) URL"):
            embedding([node])
    assert emulator.requests == []


def test_the_url_of_a_node_may_hold_the_image(
    embedding: VoyageEmbedding, emulator: Emulator
) -> None:
    data = "data:image/png;base64," + base64.b64encode(png()).decode()
    other = "data:image/png;base64," + base64.b64encode(png("blue")).decode()
    embedding([ImageNode(image_url=data), ImageNode(image=other)])
    assert types_sent(emulator) == [["image_base64"]] * 2


def test_an_image_that_is_not_base64_is_named(
    embedding: VoyageEmbedding, emulator: Emulator
) -> None:
    """With its node and the reason."""
    nodes = [TextNode(text="words"), ImageNode(id_="broken", image="not base64")]
    with pytest.raises(InvalidInputError, match=r"inputs\[1\].*base64: .*\(node broken\)"):
        embedding(nodes)
    assert emulator.requests == []


# ── what is ranked ────────────────────────────────────────────────────────────────────────────────


def scored(*nodes: Any) -> list[NodeWithScore]:
    return [NodeWithScore(node=node, score=0.5) for node in nodes]


def test_an_image_alone_is_not_ranked_as_an_empty_text(
    reranker: VoyageAIRerank, emulator: Emulator, folder: Path, runner: Runner
) -> None:
    nodes = scored(*nodes_with_media(folder))
    with pytest.raises(InvalidInputError, match=r"node 1 has an image and no text.*'skip'") as got:
        runner.call(reranker, "postprocess_nodes", nodes, query_str="words")
    assert got.value.indices == (1, 3, 4)
    assert emulator.requests == []


def test_images_alone_are_left_out_where_that_is_wanted(
    make: Any, emulator: Emulator, folder: Path, runner: Runner
) -> None:
    """Those with a caption are ranked by it."""
    reranker = make(VoyageAIRerank, "rerank-3", image_nodes="skip")
    nodes = scored(*nodes_with_media(folder))
    found = runner.call(reranker, "postprocess_nodes", nodes, query_str="a caption")
    assert emulator.requests[0].body["documents"] == ["words", "a caption", "a film"]
    assert found[0].node.get_content() == "a caption"
    assert {one.node.node_id for one in found} == {nodes[at].node.node_id for at in (0, 2, 5)}


def test_nothing_but_images_ranks_nothing(
    make: Any, emulator: Emulator, folder: Path, runner: Runner
) -> None:
    reranker = make(VoyageAIRerank, "rerank-3", image_nodes="skip")
    nodes = scored(ImageNode(image_path=str(folder / "red.png")))
    assert runner.call(reranker, "postprocess_nodes", nodes, query_str="a") == []
    assert emulator.requests == []


@both
def test_half_a_character_beside_an_image_may_be_replaced(
    make: Any, emulator: Emulator, runner: Runner
) -> None:
    embedding = make(VoyageEmbedding, MODEL, invalid_text="replace")

    runner.call(embedding, "get_multimodal_embeddings", [["half \ud83d", png("red")]])

    [request] = emulator.requests
    assert request.body["inputs"][0]["content"][0]["text"] == "half \ufffd"
