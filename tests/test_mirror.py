"""Tests mirror the source: a module has a test file of the same path, or is named here."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "voyage_rag"
TESTS = ROOT / "tests"

COVERED_BY: dict[str, str] = {
    "batch/custom_ids.py": "batch/test_job.py",
    "batch/endpoints.py": "batch/test_job.py",
    "batch/outcome.py": "batch/test_recovery.py",
    "batch/state.py": "batch/test_recovery.py",
    "batch/submission.py": "batch/test_recovery.py",
    "batch/types.py": "batch/test_job.py",
    "batch/workflow.py": "batch/test_recovery.py",
    "bulk/batch_engine.py": "bulk/test_batches.py",
    "bulk/estimate.py": "bulk/test_nothing_is_lost.py",
    "bulk/id_index.py": "bulk/test_job.py",
    "bulk/job_folder.py": "bulk/test_job.py",
    "bulk/journal.py": "bulk/test_full_disk.py",
    "bulk/options.py": "bulk/test_job.py",
    "bulk/outputs.py": "bulk/test_nothing_is_lost.py",
    "bulk/preparation.py": "bulk/test_job.py",
    "bulk/progress.py": "bulk/test_job.py",
    "bulk/refused.py": "bulk/test_nothing_is_lost.py",
    "bulk/result_store.py": "bulk/test_repeats.py",
    "bulk/run.py": "bulk/test_job.py",
    "bulk/scan.py": "bulk/test_nothing_is_lost.py",
    "bulk/writers.py": "bulk/test_job.py",
    "checks.py": "core/test_validation.py",
    "client/notices.py": "client/test_session.py",
    "client/reranking.py": "core/test_rerank.py",
    "client/text.py": "client/test_streaming.py",
    "commands/app.py": "test_cli.py",
    "commands/batch_rows.py": "commands/test_batch.py",
    "commands/demo.py": "test_cli.py",
    "commands/emulate.py": "emulator/test_dialects.py",
    "commands/models.py": "test_cli.py",
    "commands/options.py": "test_cli.py",
    "commands/screen.py": "commands/test_doctor.py",
    "commands/service.py": "test_cli.py",
    "core/contents.py": "core/test_multimodal.py",
    "core/documents.py": "core/test_contextual.py",
    "core/flow.py": "io/test_driver.py",
    "core/jobs/files.py": "client/test_files.py",
    "core/options.py": "core/test_validation.py",
    "core/pause.py": "core/test_rate_limiter.py",
    "core/sliding_window.py": "core/test_rate_limiter.py",
    "core/text_stream.py": "client/test_streaming.py",
    "core/waiting_line.py": "core/test_rate_limiter.py",
    "counting.py": "commands/test_tokens.py",
    "deferred.py": "test_public_api.py",
    "demo/options.py": "demo/test_run.py",
    "demo/search.py": "demo/test_run.py",
    "doctor/findings.py": "doctor/test_examination.py",
    "doctor/identity.py": "doctor/test_examination.py",
    "doctor/network.py": "doctor/test_examination.py",
    "doctor/service.py": "doctor/test_examination.py",
    "emulator/app.py": "emulator/test_server.py",
    "emulator/azure_dialects.py": "emulator/test_dialects.py",
    "emulator/batch_lines.py": "emulator/test_batches.py",
    "emulator/embeddings.py": "emulator/test_arguments.py",
    "emulator/file_storage.py": "emulator/test_files.py",
    "emulator/files_and_batches.py": "emulator/test_files.py",
    "emulator/images.py": "emulator/test_multimodal.py",
    "emulator/video_size.py": "emulator/test_multimodal.py",
    "emulator/model_limits.py": "emulator/test_arguments.py",
    "emulator/openai_dialect.py": "emulator/test_dialects.py",
    "emulator/rerank.py": "emulator/test_relevance.py",
    "emulator/responses.py": "emulator/test_conformance.py",
    "emulator/sagemaker_dialect.py": "emulator/test_dialects.py",
    "emulator/words.py": "emulator/test_vectors.py",
    "events.py": "observe/test_events.py",
    "hosts/failures.py": "core/test_failures.py",
    "hosts/gateways.py": "hosts/test_openai_compatible.py",
    "hosts/host.py": "hosts/test_invented.py",
    "hosts/messages.py": "core/wire/test_requests.py",
    "hosts/conversion.py": "hosts/test_openai_compatible.py",
    "hosts/specification.py": "test_cli.py",
    "hosts/voyage.py": "test_settings.py",
    "io/clock.py": "io/test_driver.py",
    "io/http/failures.py": "io/http/test_exchange.py",
    "io/http/nested_tls.py": "io/http/test_tunnel.py",
    "io/in_process.py": "hosts/test_local.py",
    "io/pillow.py": "io/test_media.py",
    "io/ports.py": "io/test_driver.py",
    "io/tasks.py": "io/test_concurrency.py",
    "io/telemetry.py": "observe/test_events.py",
    "jobs/errors.py": "bulk/test_job.py",
    "jobs/inputs/arrow_files.py": "jobs/test_inputs.py",
    "jobs/inputs/delimited.py": "jobs/test_discovery.py",
    "jobs/inputs/discovery.py": "jobs/test_discovery.py",
    "jobs/inputs/json_files.py": "jobs/test_inputs.py",
    "jobs/inputs/opening.py": "jobs/test_discovery.py",
    "jobs/inputs/rows.py": "jobs/test_inputs.py",
    "jobs/inputs/spool.py": "jobs/test_inputs.py",
    "jobs/inputs/text_files.py": "jobs/test_inputs.py",
    "jobs/lines.py": "jobs/test_inputs.py",
    "langchain/auto_chunks.py": "langchain/test_vectorstore.py",
    "langchain/chunks.py": "langchain/test_vectorstore.py",
    "langchain/documents.py": "langchain/test_vectorstore.py",
    "langchain/precomputed.py": "langchain/test_vectorstore.py",
    "langchain/registration.py": "stores/test_registration.py",
    "langchain/store_calls.py": "langchain/test_vectorstore.py",
    "llama_index/media.py": "llama_index/test_multimodal.py",
    "llama_index/methods.py": "llama_index/test_embeddings.py",
    "llama_index/nodes.py": "llama_index/test_documents.py",
    "locks.py": "io/test_fork.py",
    "media.py": "core/test_media.py",
    "observe/observers.py": "observe/test_events.py",
    "partial.py": "core/test_embed.py",
    "progress.py": "test_client.py",
    "records.py": "core/jobs/test_decoding.py",
    "rerankers.py": "llama_index/test_rerank.py",
    "types.py": "test_client.py",
    "usage.py": "observe/test_usage.py",
}
"""Where the tests of a module are whose own file would repeat those of the module that uses it."""


def modules_without_their_own_tests() -> set[str]:
    """Modules with functions that have no test file of the same path."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        relative = path.relative_to(SOURCE)
        if path.name.startswith("_"):
            continue
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        has_logic = any(isinstance(n, functions) for n in ast.walk(ast.parse(path.read_text())))
        if has_logic and not (TESTS / relative.with_name(f"test_{path.name}")).exists():
            found.add(relative.as_posix())
    return found


def test_tests_mirror_the_modules() -> None:
    """In a file of the same path, or in the one that the table names."""
    assert modules_without_their_own_tests() - COVERED_BY.keys() == set()


def test_the_files_of_the_table_exist() -> None:
    assert {path for path in COVERED_BY if not (SOURCE / path).exists()} == set()
    assert {path for path in COVERED_BY.values() if not (TESTS / path).exists()} == set()
