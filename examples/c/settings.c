/*
 * A node with every setting, and a callback for what it logs.
 *
 *   cc settings.c $(pkg-config --cflags --libs raft) -o settings
 *   ./settings                        a cluster of its own, of one node on port 7000
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <raft.h>

#define TRY(call) \
    do { \
        raft_status tried = (call); \
        if (tried != RAFT_OK) { \
            fprintf(stderr, "%s: %s (%s)\n", #call, raft_last_error_message(), raft_status_name(tried)); \
            return EXIT_FAILURE; \
        } \
    } while (0)

static void count(raft_log_level level, const char *target, const char *message, void *user_data)
{
    if (level <= RAFT_LOG_INFO && *target && *message)
        ++*(atomic_int *)user_data;
}

int main(void)
{
    atomic_int lines = 0;
    TRY(raft_set_log_callback(count, &lines, RAFT_LOG_INFO));
    printf("raft %s, ABI %d, compiled for %d\n", raft_version(), (int)raft_abi_version(), RAFT_ABI_VERSION);

    raft_node_config *config;
    TRY(raft_node_config_new("solo", 7000, &config));
    // Of these two the later one holds.
    TRY(raft_node_config_set_join(config, "127.0.0.1:7001"));
    TRY(raft_node_config_set_peers(config, "solo=127.0.0.1:7000"));
    TRY(raft_node_config_set_host(config, "localhost"));
    TRY(raft_node_config_set_advertise(config, "127.0.0.1:7000"));
    TRY(raft_node_config_set_data_dir(config, "solo"));
    TRY(raft_node_config_set_ephemeral(config, false));
    TRY(raft_node_config_set_election_timeout_ms(config, 150, 300));
    TRY(raft_node_config_set_heartbeat_interval_ms(config, 50));
    TRY(raft_node_config_set_insecure(config, false));
    TRY(raft_node_config_set_max_value_bytes(config, 4));
    TRY(raft_node_config_set_request_timeout_ms(config, 5000));
    TRY(raft_node_config_set_io_threads(config, 0));
    TRY(raft_node_config_set_record_mib(config, 16));
    TRY(raft_node_config_set_snapshot_mib(config, 64));
    raft_node *node;
    TRY(raft_node_open(config, &node));
    raft_node_config_free(config);
    TRY(raft_node_start(node));

    TRY(raft_node_set(node, "k", "abc", 3, 0, NULL));
    TRY(raft_node_set_text(node, "k", "ab", 0, NULL));
    TRY(raft_node_set_json(node, "k", "null", 0, NULL));
    raft_status status = raft_node_set_text(node, "k", "too long", 0, NULL);
    printf("%s: %s\n", raft_status_name(status), raft_last_error_message());
    raft_keys *keys;
    TRY(raft_node_keys(node, "", RAFT_CONSISTENCY_STALE, 0, &keys));
    raft_value *value;
    TRY(raft_node_get(node, raft_keys_at(keys, 0), RAFT_CONSISTENCY_LINEARIZABLE, 0, &value));
    printf("%s is %s\n", raft_keys_at(keys, 0), raft_value_data(value));
    raft_value_free(value);
    raft_keys_free(keys);
    TRY(raft_node_delete(node, "k", 0, NULL, NULL));
    char *json;
    TRY(raft_node_explain(node, 0, &json));
    printf("%s\n", json);
    raft_string_free(json);
    TRY(raft_node_status(node, 0, &json));
    raft_string_free(json);

    TRY(raft_node_add_member(node, "spare", "127.0.0.1:7001", true, 0));
    TRY(raft_node_members(node, 0, &json));
    raft_string_free(json);
    TRY(raft_node_remove_member(node, "spare", false, 0));
    // It votes, and it leads.
    TRY(raft_node_promote_member(node, "solo", 0));
    TRY(raft_node_set_priority(node, "solo", 1, 0));
    // Nobody votes whose place another could take.
    status = raft_node_replace_member(node, "nobody", "spare", "127.0.0.1:7001", 0);
    printf("%s: %s\n", raft_status_name(status), raft_last_error_message());
    TRY(raft_node_snapshot(node, 0, NULL, NULL, NULL));
    TRY(raft_node_transfer(node, "solo", 0, &json));
    raft_string_free(json);

    TRY(raft_node_stop(node, 0));
    status = raft_node_delete(node, "k", 0, NULL, NULL);
    printf("%s: %s\n", raft_status_name(status), raft_last_error_message());
    raft_node_free(node);
    TRY(raft_set_log_callback(NULL, NULL, RAFT_LOG_ERROR));
    puts(lines > 0 ? "it logged something" : "it logged nothing");
    return EXIT_SUCCESS;
}
