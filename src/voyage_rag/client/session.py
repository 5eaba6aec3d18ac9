"""The state of a client: settings, connections, rate limits, cache and usage."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterable, Sized
from contextlib import suppress
from functools import partial, wraps
from inspect import Parameter, isasyncgenfunction, iscoroutinefunction, isfunction, signature
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar, Unpack

from pydantic import SecretStr

from voyage_rag.client import notices
from voyage_rag.construction import constructor
from voyage_rag.core.context import CallContext, budgets_of
from voyage_rag.core.jobs.sending import JobContext
from voyage_rag.core.rate_limits import NO_LIMITS, RateLimits
from voyage_rag.core.retry import RetryPolicy
from voyage_rag.errors import ConfigurationError
from voyage_rag.events import Observer
from voyage_rag.hosts import Host, InProcessHost
from voyage_rag.io.cache import Cache
from voyage_rag.io.clock import SYSTEM_CLOCK, Clock
from voyage_rag.io.driver import Driver
from voyage_rag.io.hedging import HedgedSender
from voyage_rag.io.http.transport import Transport
from voyage_rag.io.in_process import InProcessSender
from voyage_rag.io.ports import Listener, Sender
from voyage_rag.io.tasks import run_in_thread
from voyage_rag.io.tokenizer import Tokenizer
from voyage_rag.locks import lock_for
from voyage_rag.observe.log import LOG, RequestLog
from voyage_rag.observe.observers import (
    GLOBAL_OBSERVERS,
    NO_OBSERVERS,
    GuardedObserver,
    Observers,
    as_observers,
)
from voyage_rag.observe.usage import OPEN_TRACKERS
from voyage_rag.settings import ChangedSettings, Settings
from voyage_rag.suggestions import unknown_parameter
from voyage_rag.usage import Usage

if TYPE_CHECKING:
    import httpx

    from voyage_rag.client.batches import Batches
    from voyage_rag.client.files import Files

    HTTPClient: TypeAlias = httpx.Client
    AsyncHTTPClient: TypeAlias = httpx.AsyncClient
else:  # httpx is imported by those who have a client of their own; `Voyage` checks it
    HTTPClient = AsyncHTTPClient = Any

T = TypeVar("T")

REQUEST_LOG = RequestLog()

MANY = 1_000
"""Number of texts whose validation takes about two milliseconds, which is too long for an event
loop.
"""


class Session:
    """The base of `voyage_rag.Voyage`, which adds the methods of the API.

    Attributes:
        settings: The resolved settings.
        observers: The observers of this client.
        driver: Runs requests with the client's connections, cache and observers.
        job_context: Context of requests about files and batches.
        has_own_http_client: Whether an HTTP client was passed.
    """

    @constructor
    def __init__(
        self,
        api_key: str | SecretStr | None = None,
        max_retries: int | None = None,
        timeout: float | None = None,
        base_url: str | None = None,
        *,
        api_key_path: str | os.PathLike[str] | None = None,
        host: Host | None = None,
        total_timeout: float | None = 300.0,
        query_max_retries: int | None = None,
        query_total_timeout: float | None = 75.0,
        hedge_after: float | None = None,
        concurrency: int | None = None,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        cache: str | os.PathLike[str] | None = None,
        cache_max_bytes: int | None = None,
        tokenizer: str | os.PathLike[str] | None = None,
        allow_insecure_http: bool = False,
        http_client: HTTPClient | None = None,
        async_http_client: AsyncHTTPClient | None = None,
        observers: Iterable[Observer] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        settings = Settings.resolve(
            api_key,
            api_key_path=api_key_path,
            base_url=base_url,
            host=host,
            allow_insecure_http=allow_insecure_http,
            max_retries=max_retries,
            timeout=timeout,
            total_timeout=total_timeout,
            query_max_retries=query_max_retries,
            query_total_timeout=query_total_timeout,
            hedge_after=hedge_after,
            concurrency=concurrency,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            cache=cache,
            cache_max_bytes=cache_max_bytes,
            tokenizer=tokenizer,
        )
        transport = _sender(settings, http_client, async_http_client)
        self.has_own_http_client: bool = http_client is not None or async_http_client is not None
        self._begin(settings, transport, clock, as_observers(observers))

    def __init_subclass__(cls) -> None:
        """Make methods, except async generators, suggest the name of a misspelled parameter."""
        for name, verb in list(vars(cls).items()):
            if isfunction(verb) and name[0] != "_" and not isasyncgenfunction(verb):
                setattr(cls, name, _suggesting(verb))

    @classmethod
    def of(cls, settings: Settings, observers: Observers = NO_OBSERVERS) -> Self:
        """Return a client with settings that are already resolved."""
        client = cls.__new__(cls)
        transport = _sender(settings)
        client.has_own_http_client = False
        client._begin(settings, transport, SYSTEM_CLOCK, observers)  # noqa: SLF001 - its own
        return client

    def with_options(
        self, *, observers: Iterable[Observer] | None = None, **settings: Unpack[ChangedSettings]
    ) -> Self:
        """Return a copy with other settings, which shares connections, cache and rate limits.

        Example: `voyage.with_options(timeout=5, max_retries=0).embed(...)`. The copy counts its own
        `usage`. Closing either object closes the connections of both; they open again when needed.

        Args:
            observers: Observers of the copy. Default: those of the original.
            settings: `timeout`, `max_retries`, `total_timeout`, `query_max_retries`,
                `query_total_timeout`, `hedge_after`, `concurrency`, `requests_per_minute` or
                `tokens_per_minute`, as for `Voyage`.

        Raises:
            ConfigurationError: A setting is invalid, unknown, or shared by all copies.
        """
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)  # including the attributes of subclasses
        sender, cache = self.driver.sender, self.driver.cache
        if isinstance(sender, HedgedSender):
            sender = sender.sender
        watching = self.observers if observers is None else as_observers(observers)
        changed = self.settings.changed(**settings)
        copy._begin(changed, sender, self._clock, watching, cache)  # noqa: SLF001 - its own
        return copy

    def _begin(
        self,
        settings: Settings,
        transport: Sender,
        clock: Clock,
        observers: Observers,
        cache: Cache | None = None,
    ) -> None:
        self.observers = observers
        self._listeners = tuple(map(GuardedObserver, observers))
        self.settings = settings
        self._clock = clock
        if settings.hedge_after is not None:
            transport = HedgedSender(transport, clock, settings.hedge_after)
        if cache is None and settings.cache is not None:
            cache = Cache(settings.cache, settings.cache_max_bytes)
        self.driver: Driver = Driver(
            transport,
            clock,
            cache,
            concurrency=settings.concurrency,
            listeners=self._listening,
            wait_log=(REQUEST_LOG,),
            host=settings.host.hostname,
            port=settings.host.port,
            plans_in_thread=settings.tokenizer is not None,
        )
        policy = RetryPolicy(
            max_retries=settings.max_retries,
            timeout=settings.timeout,
            total_timeout=settings.total_timeout,
            chance=random.random,
            wall_clock=clock.wall,
        )
        self.job_context: JobContext = JobContext(settings.host, policy, clock.now)
        self.context: CallContext = CallContext(
            host=settings.host,
            policy=policy,
            query_policy=policy.for_queries(
                settings.query_max_retries, settings.query_total_timeout
            ),
            budgets=budgets_of(settings.host.account, clock.now),
            limits=RateLimits(settings.requests_per_minute, settings.tokens_per_minute)
            or NO_LIMITS,
            concurrency=settings.concurrency,
            count_tokens=Tokenizer(settings.tokenizer) if settings.tokenizer else None,
            has_cache=settings.cache is not None,
            record=self._record,
            warn_slow=notices.slow,
            warn_windows=notices.windows,
            warn_no_documents=partial(notices.no_documents, {}),
            warn_retirement=notices.retirement,
            warn_zero_vector=notices.zero_vector,
            warn_media_name=notices.media_name,
            warn_omitted_media=notices.omitted_media,
        )
        self._usage = Usage()
        self._lock = lock_for(self)

    @property
    def files(self) -> Files:
        """Files at the service, which batches read and write."""
        from voyage_rag.client.files import Files  # noqa: PLC0415 - rarely needed

        return Files(self.driver, self.job_context)

    @property
    def batches(self) -> Batches:
        """Batches at the service. For more than one file use `voyage_rag.batch.BatchJob`."""
        from voyage_rag.client.batches import Batches  # noqa: PLC0415 - as above

        return Batches(self.driver, self.job_context)

    @property
    def usage(self) -> Usage:
        """The usage of this object so far, in total and per model; `dollars` is the list price."""
        return self._usage

    def close(self) -> None:
        """Close the idle connections of sync calls and the cache. A later call opens them again."""
        self.driver.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and everything that `close` closes."""
        await self.driver.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        settings: Settings | None = getattr(self, "settings", None)  # None during construction
        return f"Voyage({settings.selection if settings else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self.has_own_http_client:
            raise TypeError(
                "a Voyage with its own HTTP client cannot be pickled or copied: create one in each "
                "process, or use with_options"
            )
        return type(self).of, (self.settings, self.observers)

    def _listening(self) -> tuple[Listener, ...]:
        """Return the observers of the next call; empty if only retries are logged."""
        listeners = self._listeners + GLOBAL_OBSERVERS.current
        return (*listeners, REQUEST_LOG) if listeners or LOG.isEnabledFor(logging.DEBUG) else ()

    def _record(self, usage: Usage) -> None:
        with self._lock:
            self._usage += usage
        for tracker in OPEN_TRACKERS.get():
            tracker.add(usage)


def _sender(
    settings: Settings,
    http_client: HTTPClient | None = None,
    async_http_client: AsyncHTTPClient | None = None,
) -> Sender:
    host = settings.host
    if not isinstance(host, InProcessHost):
        return Transport(host, http_client, async_http_client)
    if http_client or async_http_client:
        raise ConfigurationError(f"{host.name} does not use the network: do not pass HTTP clients")
    return InProcessSender(host)


def _suggesting(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method: an unknown parameter raises an error that suggests the closest name."""
    parameters = signature(verb).parameters
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return verb  # overridden by a subclass, which forwards parameters
    known = [*parameters][1:]
    names = frozenset(known)

    def check(given: Iterable[str]) -> None:
        for name in given:
            if name not in names:
                raise TypeError(f"{verb.__name__}: {unknown_parameter(name, known)}")

    @wraps(verb)
    def call(self: Session, *args: Any, **options: Any) -> Any:
        if not names.issuperset(options):
            check(options)
        return verb(self, *args, **options)

    @wraps(verb)
    async def acall(self: Session, *args: Any, **options: Any) -> Any:
        if not names.issuperset(options):
            check(options)
        return await verb(self, *args, **options)

    return acall if iscoroutinefunction(verb) else call


async def run_in_thread_if_many(do: Callable[[], T], inputs: object, many: int = MANY) -> T:
    """Run a function that checks inputs: in a thread if there are more than `many` of them."""
    count = 0
    if isinstance(inputs, Sized) and not isinstance(inputs, str):
        with suppress(TypeError):  # zero-dimensional NumPy arrays
            count = len(inputs)
    return await run_in_thread(do) if count > many else do()
