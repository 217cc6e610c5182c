/* Every kind of call on raft.h once, for valgrind. Its argument is a free port. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <raft.h>

#define CHECK(condition)                                                                            \
    do {                                                                                            \
        if (!(condition)) {                                                                         \
            fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, raft_last_error_message());  \
            exit(1);                                                                                \
        }                                                                                           \
    } while (0)

static raft_node *make_node(unsigned short port)
{
    char peers[64];
    raft_node_config *config;
    raft_node *node;
    snprintf(peers, sizeof peers, "n=127.0.0.1:%d", port);
    CHECK(raft_node_config_new("n", port, &config) == RAFT_OK);
    CHECK(raft_node_config_set_join(config, "127.0.0.1:1") == RAFT_OK);
    CHECK(raft_node_config_set_join(config, "nowhere") == RAFT_CONFIG);
    CHECK(raft_node_config_set_peers(config, peers) == RAFT_OK);
    CHECK(raft_node_config_set_host(config, "127.0.0.1") == RAFT_OK);
    CHECK(raft_node_config_set_data_dir(config, "data") == RAFT_OK);
    CHECK(raft_node_config_set_ephemeral(config, true) == RAFT_OK);
    CHECK(raft_node_config_set_election_timeout_ms(config, 200, 400) == RAFT_OK);
    CHECK(raft_node_config_set_heartbeat_interval_ms(config, 50) == RAFT_OK);
    CHECK(raft_node_config_set_max_value_bytes(config, 1000) == RAFT_OK);
    CHECK(raft_node_config_set_request_timeout_ms(config, 30000) == RAFT_OK);
    CHECK(raft_node_config_set_record_mib(config, 1) == RAFT_OK);
    CHECK(raft_node_config_set_snapshot_mib(config, 1) == RAFT_OK);
    CHECK(raft_node_open(config, &node) == RAFT_OK);
    raft_node_config_free(config);
    return node;
}

static raft_client *make_client(unsigned short port)
{
    char endpoint[64];
    raft_client_config *config;
    raft_client *client;
    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", port);
    CHECK(raft_client_config_new(&config) == RAFT_OK);
    CHECK(raft_client_config_set_endpoints(config, endpoint) == RAFT_OK);
    CHECK(raft_client_config_set_timeout_ms(config, 30000) == RAFT_OK);
    CHECK(raft_client_config_set_consistency(config, RAFT_CONSISTENCY_LINEARIZABLE) == RAFT_OK);
    CHECK(raft_client_open(config, &client) == RAFT_OK);
    raft_client_config_free(config);
    return client;
}

static void writes(raft_node *node, raft_client *client)
{
    uint64_t first = 0, second = 0;
    CHECK(raft_node_set(node, "bytes", "\xff\0b", 3, 0, &first) == RAFT_OK);
    CHECK(raft_client_set_text(client, "text", "h\xc3\xa9", 0, &second) == RAFT_OK);
    CHECK(first > 0 && second > first);
    CHECK(raft_client_set_json(client, "json", "{\"a\": [1, 2.50]}", 0, NULL) == RAFT_OK);
    CHECK(raft_node_set(node, "empty", NULL, 0, 0, NULL) == RAFT_OK);
}

static void expect(raft_value *value, raft_kind kind, const char *data, size_t size, const char *json)
{
    CHECK(raft_value_kind(value) == kind);
    CHECK(raft_value_size(value) == size);
    CHECK(memcmp(raft_value_data(value), data, size + 1) == 0);
    CHECK(strcmp(raft_value_json(value), json) == 0);
    CHECK(raft_value_revision(value) > 0);
    raft_value_free(value);
}

static void reads(raft_node *node, raft_client *client)
{
    raft_value *value;
    CHECK(raft_client_get(client, "bytes", 0, 0, &value) == RAFT_OK);
    expect(value, RAFT_KIND_BYTES, "\xff\0b", 3, "{\"$base64\":\"/wBi\"}");
    CHECK(raft_node_get(node, "text", RAFT_CONSISTENCY_LINEARIZABLE, 0, &value) == RAFT_OK);
    expect(value, RAFT_KIND_TEXT, "h\xc3\xa9", 3, "\"h\xc3\xa9\"");
    CHECK(raft_node_get(node, "json", RAFT_CONSISTENCY_STALE, 0, &value) == RAFT_OK);
    expect(value, RAFT_KIND_JSON, "{\"a\": [1, 2.50]}", 16, "{\"a\": [1, 2.50]}");
    CHECK(raft_client_get(client, "empty", RAFT_CONSISTENCY_STALE, 0, &value) == RAFT_OK);
    expect(value, RAFT_KIND_BYTES, "", 0, "\"\"");
}

static void lists(raft_node *node, raft_client *client)
{
    raft_keys *keys;
    CHECK(raft_client_keys(client, "", 0, 0, &keys) == RAFT_OK);
    CHECK(raft_keys_count(keys) == 4);
    CHECK(strcmp(raft_keys_at(keys, 0), "bytes") == 0 && raft_keys_size_at(keys, 0) == 5);
    CHECK(raft_keys_at(keys, 4) == NULL && raft_keys_size_at(keys, 4) == 0);
    raft_keys_free(keys);
    CHECK(raft_node_keys(node, "te", 0, 0, &keys) == RAFT_OK);
    CHECK(raft_keys_count(keys) == 1);
    raft_keys_free(keys);
}

static void documents(raft_node *node, raft_client *client)
{
    char *json;
    uint64_t index, bytes, took;
    CHECK(raft_node_status(node, 0, &json) == RAFT_OK && strstr(json, "\"leader\""));
    raft_string_free(json);
    CHECK(raft_node_explain(node, 0, &json) == RAFT_OK && strstr(json, "\"ok\":true"));
    raft_string_free(json);
    CHECK(raft_client_status(client, 0, &json) == RAFT_OK);
    raft_string_free(json);
    CHECK(raft_client_explain(client, 0, &json) == RAFT_OK);
    raft_string_free(json);
    CHECK(raft_node_members(node, 0, &json) == RAFT_OK && strstr(json, "\"voter\""));
    raft_string_free(json);
    CHECK(raft_client_members(client, 0, &json) == RAFT_OK);
    raft_string_free(json);
    CHECK(raft_node_add_member(node, "n", "127.0.0.1:1", false, 0) == RAFT_CONFLICT);
    CHECK(raft_client_add_member(client, "n", "nowhere", true, 0) == RAFT_BAD_REQUEST);
    CHECK(raft_node_promote_member(node, "n", 0) == RAFT_OK);
    CHECK(raft_client_promote_member(client, "other", 0) == RAFT_CONFLICT);
    CHECK(raft_node_remove_member(node, "n", false, 0) == RAFT_CONFLICT);
    CHECK(raft_client_remove_member(client, "other", true, 0) == RAFT_CONFLICT);
    CHECK(raft_node_set_priority(node, "n", 1, 0) == RAFT_OK);
    CHECK(raft_client_set_priority(client, "other", 1, 0) == RAFT_CONFLICT);
    CHECK(raft_node_replace_member(node, "other", "m", "127.0.0.1:1", 0) == RAFT_CONFLICT);
    CHECK(raft_client_replace_member(client, "n", "m", "nowhere", 0) == RAFT_BAD_REQUEST);
    CHECK(raft_node_snapshot(node, 0, &index, &bytes, NULL) == RAFT_OK && index > 0 && bytes > 0);
    CHECK(raft_client_snapshot(client, 0, &bytes, NULL, &took) == RAFT_OK && bytes > index && took < 60000);
    CHECK(raft_node_transfer(node, "n", 0, NULL) == RAFT_OK);
    CHECK(raft_client_transfer(client, "n", 0, &json) == RAFT_OK && strcmp(json, "n") == 0);
    raft_string_free(json);
    CHECK(raft_client_transfer(client, NULL, 0, &json) == RAFT_CONFLICT && json == NULL);
}

static void failures(raft_node *node, raft_client *client)
{
    static const char large[1001];
    raft_value *value = (raft_value *)node;
    bool deleted = false;
    uint64_t revision = 1;
    CHECK(raft_node_delete(node, "text", 0, &deleted, &revision) == RAFT_OK && deleted && revision > 1);
    CHECK(raft_client_delete(client, "text", 0, &deleted, NULL) == RAFT_OK && !deleted);
    CHECK(raft_client_get(client, "text", 0, 0, &value) == RAFT_NOT_FOUND && value == NULL);
    CHECK(strstr(raft_last_error_message(), "\"text\" is not set"));
    CHECK(raft_node_set(node, "k", large, sizeof large, 0, &revision) == RAFT_TOO_LARGE && revision == 0);
    CHECK(raft_client_set(client, "k", large, sizeof large, 0, NULL) == RAFT_TOO_LARGE);
    CHECK(raft_client_set_json(client, "k", "{", 0, NULL) == RAFT_BAD_REQUEST);
    CHECK(raft_node_start(node) == RAFT_OK);
    CHECK(strcmp(raft_status_name(RAFT_CONFLICT), "conflict") == 0);
}

/* Counts the lines; its user data is where. The node's thread logs too, so only whether there were any is read. */
static void count_line(raft_log_level level, const char *target, const char *message, void *count)
{
    if (level <= RAFT_LOG_INFO && strncmp(target, "raft_node", 9) == 0 && strstr(message, "leads term="))
        *(volatile int *)count = 1;
    if (raft_set_log_callback(NULL, NULL, 0) != RAFT_CONFLICT)
        abort();
}

int main(int argc, char **argv)
{
    volatile int led = 0;
    unsigned short port = (unsigned short)(argc > 1 ? atoi(argv[1]) : 0);
    raft_node *node = make_node(port);
    raft_client *client = make_client(port);
    raft_value *nothing;
    CHECK(raft_abi_version() == RAFT_ABI_VERSION);
    CHECK(raft_set_log_callback(count_line, NULL, 9) == RAFT_BAD_REQUEST);
    CHECK(raft_set_log_callback(count_line, (void *)&led, RAFT_LOG_INFO) == RAFT_OK);
    CHECK(raft_node_start(node) == RAFT_OK);
    writes(node, client);
    reads(node, client);
    lists(node, client);
    documents(node, client);
    failures(node, client);
    CHECK(raft_node_stop(node, 0) == RAFT_OK);
    CHECK(raft_set_log_callback(NULL, NULL, 0) == RAFT_OK);
    CHECK(led == 1);
    CHECK(raft_node_set_text(node, "k", "v", 0, NULL) == RAFT_SHUTTING_DOWN);
    CHECK(raft_client_get(client, "k", 0, 300, &nothing) == RAFT_UNREACHABLE && nothing == NULL);
    CHECK(raft_node_start(node) == RAFT_OK);
    CHECK(raft_client_set_text(client, "k", "v", 0, NULL) == RAFT_OK);
    raft_client_free(client);
    raft_node_free(node);
    puts("every call");
    return 0;
}
