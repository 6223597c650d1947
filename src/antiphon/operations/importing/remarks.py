"""What is told of settings of LiteLLM that are not models: what does their work here, if anything."""

from __future__ import annotations

_KEYS = "`antiphon keys create` makes keys here"
_ELSEWHERE = (
    "how a request is retried and spread is not set here: several URLs of one model take over for another"
)
_CACHE = (
    "no answer is given twice to different requests; a retry with an Idempotency-Key is (docs/billing.md)"
)
_LOGS = "/metrics for Prometheus, the setting `otlp_endpoint` for traces, `webhook` for changes of models"
_BUDGETS = "budgets belong to organizations and projects (docs/billing.md)"
_FALLBACKS = "no model answers in another's name; several URLs of the same model take over for one another"
_COUNTERS = "several processes count together with the setting `valkey`"
_LOGGING = "the settings `log_level` and `log_format`"
_DATABASE = (
    "its database is not read: keys, teams, budgets and spend in it stay there; Antiphon has one of its own"
)

REMARKS: dict[str, str] = {
    "fallbacks": _FALLBACKS,
    "default_fallbacks": _FALLBACKS,
    "context_window_fallbacks": _FALLBACKS,
    "content_policy_fallbacks": _FALLBACKS,
    "routing_strategy": _ELSEWHERE,
    "routing_strategy_args": _ELSEWHERE,
    "num_retries": _ELSEWHERE,
    "retry_policy": _ELSEWHERE,
    "allowed_fails": _ELSEWHERE,
    "allowed_fails_policy": _ELSEWHERE,
    "cooldown_time": _ELSEWHERE,
    "disable_cooldowns": _ELSEWHERE,
    "enable_pre_call_checks": "always: a prompt that is known not to fit is refused",
    "timeout": "the setting `chat_seconds`, one for all models",
    "request_timeout": "the setting `chat_seconds`, one for all models",
    "stream_timeout": "the setting `chat_seconds`, one for all models",
    "redis_host": _COUNTERS,
    "redis_port": _COUNTERS,
    "redis_url": _COUNTERS,
    "redis_password": f"{_COUNTERS}; it is a secret, and was not read",
    "cache": _CACHE,
    "cache_params": _CACHE,
    "cache_responses": _CACHE,
    "drop_params": "never: what cannot be honoured is refused, and the error names it (docs/api.md)",
    "callbacks": _LOGS,
    "success_callback": _LOGS,
    "failure_callback": _LOGS,
    "service_callbacks": _LOGS,
    "set_verbose": _LOGGING,
    "json_logs": _LOGGING,
    "turn_off_message_logging": "never logged; what is kept is a policy (docs/data-policy.md)",
    "max_budget": _BUDGETS,
    "budget_duration": _BUDGETS,
    "max_internal_user_budget": _BUDGETS,
    "default_internal_user_params": _BUDGETS,
    "max_end_user_budget": _BUDGETS,
    "master_key": "there is no master key: the operator's commands need none, and "
    "`antiphon keys create --admin --name NAME` makes a key for administration over HTTP; it was not read",
    "salt_key": "not needed: Antiphon makes its own, the file `pepper` in the data folder; it was not read",
    "database_url": _DATABASE,
    "database_type": _DATABASE,
    "store_model_in_db": "models that were added while LiteLLM ran are in its database, and not in this file",
    "max_parallel_requests": "the setting `concurrent_requests`, or a project's own rate limits",
    "global_max_parallel_requests": "the setting `concurrent_requests`, or a project's own rate limits",
    "alerting": _LOGS,
    "alerting_threshold": _LOGS,
    "custom_auth": _KEYS,
    "enable_jwt_auth": _KEYS,
    "ui_username": "not taken over",
    "ui_password": "not taken over; it is a secret, and was not read",
    "proxy_batch_write_at": "not needed: every request is in the ledger before its answer ends",
    "health_check_interval": "upstreams are looked at twice a minute; `antiphon doctor` asks each of them",
    "background_health_checks": "upstreams are looked at twice a minute; `antiphon doctor` asks each of them",
    "include": "not followed: import those files as well, one after another",
    "guardrails": "moderation is set up for itself (docs/moderation.md)",
    "mcp_servers": "not served here (docs/scope.md)",
    "vector_store_registry": "not served here (docs/scope.md)",
    "files_settings": "not served here (docs/scope.md)",
}
"""By the entry's name, or the section's."""

UNKNOWN = "nothing here that this would set; see docs/settings.md"
KEYS = (
    "LiteLLM keeps virtual keys in its database, as hashes of its own, from which no key can be made again. "
    "Antiphon keeps another kind of hash, with a secret of its installation. So nobody's key can be taken "
    "over: make new ones, a project for each team or application, and hand them out."
)
