/*
 * A client of a cluster, and all that it can do.
 *
 *   cc client.c $(pkg-config --cflags --libs raft) -o client
 *   ./client                          of the documented cluster
 */
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

int main(void)
{
    raft_client_config *config;
    TRY(raft_client_config_new(&config));
    TRY(raft_client_config_set_endpoints(config, "127.0.0.1:12000,127.0.0.1:12001"));
    TRY(raft_client_config_set_timeout_ms(config, 10000));
    TRY(raft_client_config_set_consistency(config, RAFT_CONSISTENCY_LINEARIZABLE));
    raft_client *client;
    TRY(raft_client_open(config, &client));
    raft_client_config_free(config);

    TRY(raft_client_set(client, "c/bytes", "\xff", 2, 0, NULL));
    TRY(raft_client_set_text(client, "c/text", "1.0", 0, NULL));
    TRY(raft_client_set_json(client, "c/json", "{\"a\":1}", 0, NULL));
    raft_keys *keys;
    TRY(raft_client_keys(client, "c/", RAFT_CONSISTENCY_DEFAULT, 0, &keys));
    for (size_t n = 0; n < raft_keys_count(keys); n++) {
        raft_value *value;
        TRY(raft_client_get(client, raft_keys_at(keys, n), RAFT_CONSISTENCY_DEFAULT, 0, &value));
        printf("%.*s is %s: kind %d, %zu bytes, %s\n", (int)raft_keys_size_at(keys, n), raft_keys_at(keys, n),
               raft_value_json(value), (int)raft_value_kind(value), raft_value_size(value),
               raft_value_revision(value) > 0 ? "with a revision" : "without");
        raft_value_free(value);
    }
    raft_keys_free(keys);

    bool deleted;
    TRY(raft_client_delete(client, "c/text", 0, &deleted, NULL));
    raft_value *none;
    raft_status status = raft_client_get(client, "c/text", RAFT_CONSISTENCY_DEFAULT, 0, &none);
    printf("deleted: %d; now %s: %s\n", deleted, raft_status_name(status), raft_last_error_message());
    status = raft_client_set_json(client, NULL, "nonsense", 0, NULL);
    printf("%s, maybe happened: %d\n", raft_status_name(status), raft_status_maybe_happened(status));

    char *json;
    TRY(raft_client_status(client, 0, &json));
    raft_string_free(json);
    TRY(raft_client_explain(client, 0, &json));
    printf("%s\n", json);
    raft_string_free(json);

    TRY(raft_client_add_member(client, "node_3", "127.0.0.1:12003", true, 0));
    TRY(raft_client_members(client, 0, &json));
    raft_string_free(json);
    TRY(raft_client_remove_member(client, "node_3", false, 0));
    TRY(raft_client_promote_member(client, "node_0", 0));
    TRY(raft_client_set_priority(client, "node_0", 0, 0));
    uint64_t index, bytes;
    TRY(raft_client_snapshot(client, 0, &index, &bytes, NULL));
    printf("a snapshot of %d bytes or more: %d\n", 100, index > 0 && bytes >= 100);
    // What cannot be: the members stay as they are.
    status = raft_client_replace_member(client, "nobody", "node_3", "127.0.0.1:12003", 0);
    printf("%s: %s\n", raft_status_name(status), raft_last_error_message());
    TRY(raft_client_transfer(client, NULL, 0, &json));
    raft_string_free(json);
    raft_client_free(client);
    return EXIT_SUCCESS;
}
