"""LiteLLM's keys that have no effect here, and why. What has an effect is in the module that translates it.

The names are those of LiteLLM 1.106 and its "All settings" page.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CALL", "GENERAL", "LITELLM", "OWN_SECTIONS", "PARAMS", "ROUTER", "SECTIONS"]


def _because(reason: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), reason)


_PROXY = "it belongs to LiteLLM's proxy"
_SDK = "it belongs to LiteLLM's library"
_CHAT = "pictures are made, not text"
_REDIS = "state is kept in this process"
_BUDGETS = "there are no budgets"
_CALLBACKS = "spans and metrics go out through OpenTelemetry, see LASCAUX_TELEMETRY__EXPORTER"
_TAGS = "tags do not route"
_FILTERED = "what a filter refused is not asked elsewhere"
_PER_DEPLOYMENT = "it holds for all deployments here: set it under router_settings"
_PRICES = "AWS sells pictures by the piece: give output_cost_per_image"

SECTIONS: Mapping[str, str] = {
    "include": "other files are not read: put their entries into this one",
    "environment_variables": "it sets no variables: set them in the environment",
    **_because(
        _PROXY,
        """callback_settings guardrails policies policy_attachments mcp_servers mcp_tools prompts vector_store_registry
        vector_stores search_tools files_settings finetune_settings assistant_settings default_vertex_config
        worker_registry agent_list agents cost_discount_config cost_margin_config""",
    ),
}
"""At the top of the file."""

OWN_SECTIONS = (
    "credentials",
    "deployments",
    "aliases",
    "retry",
    "health",
    "cache",
    "pricing",
    "lifecycle",
    "telemetry",
    "server",
)
"""Sections of Lascaux's own format, which can not stand beside LiteLLM's."""

ROUTER: Mapping[str, str] = {
    "enable_pre_call_checks": "every request is matched against what its models can do",
    "enable_pre_call_check": "every request is matched against what its models can do",
    "optional_pre_call_checks": "limits are always kept, the other checks are not available",
    "content_policy_fallbacks": _FILTERED,
    "context_window_fallbacks": "the router matches every request against the limits of its models",
    "retry_policy": "each kind of error is retried as fits it",
    "model_group_retry_policy": "each kind of error is retried as fits it",
    "allowed_fails_policy": "each kind of error counts as fits it",
    "disable_cooldowns": "a deployment that fails again and again always rests for a while",
    "default_litellm_params": "deployments carry no default parameters: send them with the request",
    "max_fallbacks": "every fallback that is listed may be asked",
    "enable_weighted_failover": "every attempt goes by weight and priority",
    "weighted_failover_policy": "every attempt goes by weight and priority",
    "routing_strategy_args": "the strategies have no arguments",
    "provider_budget_config": _BUDGETS,
    "ignore_invalid_deployments": "a file with an invalid entry is refused as a whole",
    "stream_timeout": "pictures arrive whole",
    **_because(_REDIS, "redis_host redis_port redis_password redis_username redis_url redis_db redis_ssl"),
    **_because(_TAGS, "enable_tag_filtering tag_filtering_match_any"),
    **_because("see litellm_settings.cache", "cache_responses cache_kwargs caching_groups"),
    **_because("requests are not queued by priority", "default_priority polling_interval"),
    **_because(
        _SDK,
        """client_ttl debug_level set_verbose alerting_config assistants_config router_general_settings search_tools
        guardrail_list deployment_affinity_ttl_seconds routing_groups health_check_interval model_info""",
    ),
}
"""In ``router_settings``."""

LITELLM: Mapping[str, str] = {
    **{name: reason for name, reason in ROUTER.items() if reason not in (_SDK, _REDIS)},
    "modify_params": "what a model can not do is adapted with a warning",
    "ssl_verify": "set it on each deployment",
    **_because(
        _CALLBACKS,
        """callbacks success_callback failure_callback service_callbacks turn_off_message_logging otel
        redact_user_api_key_info redact_messages_in_exceptions langfuse_default_tags s3_callback_params
        store_audit_logs log_raw_request_response datadog_params""",
    ),
    **_because(_BUDGETS, "max_budget budget_duration max_user_budget max_end_user_budget"),
    **_because(_CHAT, "enable_json_schema_validation add_function_to_prompt drop_tools"),
    **_because(
        _PROXY,
        """key_generation_settings upperbound_key_generate_params default_key_generate_params default_team_settings
        default_team_params default_internal_user_params default_user_params default_max_internal_user_budget
        disable_end_user_cost_tracking disable_end_user_cost_tracking_prometheus_only public_model_groups
        public_model_groups_links mcp_aliases enable_key_alias_format_validation custom_provider_map credential_list
        prometheus_metrics_config require_auth_for_metrics_endpoint""",
    ),
    **_because(
        _SDK,
        """set_verbose json_logs force_ipv4 telemetry enable_preview_features disable_hf_tokenizer_download
        request_headers headers enable_loadbalancing_on_batch_endpoints
        disable_add_transform_inline_image_block disable_copilot_system_to_assistant forward_traceparent_to_llm_provider
        enable_caching_on_provider_specific_optional_params network_mock suppress_debug_info api_key api_base""",
    ),
}
"""In ``litellm_settings``."""

GENERAL: Mapping[str, str] = {
    "max_parallel_requests": "set max_parallel_requests on a deployment, or default_max_parallel_requests for all",
    "global_max_parallel_requests": "set max_parallel_requests on the deployments",
    "background_health_checks": "nobody is billed for a health check: failures of real calls tell",
    "image_generation_model": "requests name the model",
    **_because(
        _PROXY,
        """completion_model embedding_model moderation_model health_check_interval health_check_details
        store_prompts_in_spend_logs forward_client_headers_to_llm_api disable_spend_logs disable_spend_updates
        disable_master_key_return disable_retry_on_max_parallel_request_limit_error disable_reset_budget
        disable_adding_master_key_hash_to_db disable_responses_id_security enable_jwt_auth enforce_user_param
        reject_clientside_metadata_tags allowed_routes key_management_system key_management_settings
        maximum_spend_logs_retention_period maximum_spend_logs_retention_interval user_mcp_management_mode database_url
        database_connection_pool_limit database_connection_timeout allow_requests_on_db_unavailable custom_auth
        infer_model_from_keys alerting alerting_threshold alert_types alerting_args alert_to_webhook_url public_routes
        use_client_credentials_pass_through_routes enforced_params enable_oauth2_auth use_x_forwarded_for
        service_account_settings store_model_in_db supported_db_objects max_request_size_mb max_response_size_mb
        proxy_budget_rescheduler_min_time proxy_budget_rescheduler_max_time proxy_batch_write_at
        proxy_batch_polling_interval custom_key_generate allowed_ips default_team_disabled user_api_key_cache_ttl
        allow_user_auth disable_prisma_schema_update litellm_key_header_name custom_sso allow_client_side_credentials
        admin_only_routes use_azure_key_vault use_google_kms spend_report_frequency ui_access_mode litellm_jwtauth
        litellm_license oauth2_config_mappings pass_through_endpoints enable_oauth2_proxy_auth forward_openai_org_id
        otel database_type database_args""",
    ),
}
"""In ``general_settings``."""

PARAMS: Mapping[str, str] = {
    "stream_timeout": "pictures arrive whole",
    "cooldown_time": _PER_DEPLOYMENT,
    "allowed_fails": _PER_DEPLOYMENT,
    "allowed_fails_policy": _PER_DEPLOYMENT,
    "drop_params": "what a model can not do is adapted or ignored with a warning",
    "api_version": "Bedrock has none",
    "organization": "Bedrock has none",
    **_because(_TAGS, "tags tag_regex"),
    **_because(_BUDGETS, "max_budget budget_duration"),
    **_because("tokens do not limit pictures", "itpm otpm tpm_limit"),
    **_because("pictures arrive whole", "stream"),
    **_because(
        _PRICES,
        """input_cost_per_image input_cost_per_pixel output_cost_per_pixel input_cost_per_token output_cost_per_token
        input_cost_per_second output_cost_per_second input_cost_per_character output_cost_per_character
        output_cost_per_image_token""",
    ),
    **_because(
        _SDK,
        """metadata litellm_metadata litellm_trace_id additional_drop_params merge_reasoning_content_in_choices
        use_in_pass_through use_litellm_proxy use_chat_completions_api configurable_clientside_auth_params caching
        cache default_api_key_tpm_limit default_api_key_rpm_limit max_file_size_mb model_info retry_policy
        extra_headers headers extra_body guardrails callbacks success_callback failure_callback aws_bedrock_project_id
        aws_batch_role_arn s3_bucket_name s3_region_name s3_output_bucket_name s3_encryption_key_id bedrock_tags""",
    ),
    **_because(_CHAT, "temperature max_tokens top_p stop tools tool_choice messages"),
    **_because(
        "it is for another provider",
        "vertex_project vertex_location vertex_credentials azure_ad_token watsonx_region_name deployment_id",
    ),
}
"""In ``litellm_params``."""

CALL: Mapping[str, str] = _because(
    _SDK,
    """aimg_generation litellm_call_id litellm_logging_obj logger_fn verbose client aclient proxy_server_request model_list
    force_timeout no-log ttl id rpm tpm order weight max_parallel_requests litellm_session_id prompt_id prompt_variables
    shared_session mock_timeout mock_delay user_continue_message context_window_fallback_dict retry_strategy""",
)
"""Among the arguments of `image_generation`."""
