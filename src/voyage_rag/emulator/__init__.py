"""An emulator of the Voyage AI API, for tests, demos and notebooks without a key or a network.

NOT VOYAGE AI, AND NOT VOYAGE'S VECTORS. It implements the rules of the HTTP API: arguments, limits,
error bodies, headers, usage, rate limits, files and batches (whose time can be accelerated), and
faults on demand. Its vectors and relevance scores are based on counts of words and parts of words.
Retrieval over them works, but says nothing about the quality of Voyage's models.

    from voyage_rag.emulator import Emulator

    with Emulator() as url:
        ...  # any client of the API, with any key

`Emulator(dialect="sagemaker")` emulates another service that runs the models: Amazon SageMaker
(`sagemaker`), Azure (`azure-foundry`, `azure-application`) or a server compatible with OpenAI
(`openai`). Requests and errors are those of that service; vectors are the same.

It is a separate program: it shares no code with the client.
"""

try:
    from voyage_rag.emulator.app import create_app
    from voyage_rag.emulator.options import EmulatorOptions, ReceivedRequest
    from voyage_rag.emulator.server import Emulator, serve
except ModuleNotFoundError as error:
    _missing = (error.name or str(error)).split(".")[0]
    raise ImportError(
        f"the emulator needs {_missing}: pip install 'voyage-rag[emulator]'", name=error.name
    ) from error

__all__ = ["Emulator", "EmulatorOptions", "ReceivedRequest", "create_app", "serve"]
