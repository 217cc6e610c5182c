/*
 * The quick start in C.
 *
 *   cc quickstart.c $(pkg-config --cflags --libs raft) -o quickstart
 *   ./quickstart                      a cluster of its own, of one node on port 12000, in memory
 *   ./quickstart node_0 12000         node_0 of the documented cluster; start node_1 and node_2 as well
 *   ./quickstart ID PORT PEERS        a member of a cluster, such as node_0=127.0.0.1:12000,node_1=127.0.0.1:12001
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <raft.h>

/* What a call had to say that did not return RAFT_OK. */
static raft_status failed(const char *what, raft_status status)
{
    fprintf(stderr, "%s: %s (%s)\n", what, raft_last_error_message(), raft_status_name(status));
    return status;
}

/* The documented defaults, and what the command line says. */
static raft_status configure(raft_node_config *config, int argc, char **argv)
{
    if (argc > 3)
        return raft_node_config_set_peers(config, argv[3]);
    if (argc > 1)
        return RAFT_OK;
    raft_status status = raft_node_config_set_ephemeral(config, true);
    if (status != RAFT_OK)
        return status;
    return raft_node_config_set_peers(config, "node_0=127.0.0.1:12000");
}

static raft_status start(int argc, char **argv, raft_node **node)
{
    const char *id = argc > 1 ? argv[1] : "node_0";
    unsigned long port = argc > 2 ? strtoul(argv[2], NULL, 10) : 12000;

    raft_node_config *config;
    raft_status status = raft_node_config_new(id, (uint16_t)port, &config);
    if (status == RAFT_OK)
        status = configure(config, argc, argv);
    if (status == RAFT_OK)
        status = raft_node_open(config, node);
    if (status == RAFT_OK)
        status = raft_node_start(*node);
    raft_node_config_free(config); /* the node has a copy; NULL would be fine too */
    return status;
}

static raft_status use(raft_node *node)
{
    /* Nobody may lead yet: a call waits for a leader, here for 30 seconds at most. */
    uint64_t revision;
    raft_status status = raft_node_set_text(node, "name", "Raft Cluster", 30000, &revision);
    if (status != RAFT_OK)
        return failed("set", status);
    printf("set name at revision %" PRIu64 "\n", revision);

    raft_value *value;
    status = raft_node_get(node, "name", RAFT_CONSISTENCY_DEFAULT, 0, &value);
    if (status != RAFT_OK)
        return failed("get", status);
    printf("name is %s, in JSON %s\n", raft_value_data(value), raft_value_json(value));
    raft_value_free(value);

    bool deleted;
    status = raft_node_delete(node, "name", 0, &deleted, NULL);
    if (status != RAFT_OK)
        return failed("delete", status);
    printf("deleted: %s\n", deleted ? "yes" : "no");

    status = raft_node_get(node, "name", RAFT_CONSISTENCY_DEFAULT, 0, &value);
    if (status != RAFT_NOT_FOUND)
        return failed("get after delete", status);
    printf("now: %s\n", raft_last_error_message());

    char *json;
    status = raft_node_status(node, 0, &json);
    if (status != RAFT_OK)
        return failed("status", status);
    printf("status: %s\n", json);
    raft_string_free(json);
    return RAFT_OK;
}

int main(int argc, char **argv)
{
    if (argc == 2 || argc > 4) {
        fprintf(stderr, "usage: %s [NODE_ID PORT [PEERS]]\n", argv[0]);
        return 2;
    }

    raft_node *node = NULL;
    raft_status status = start(argc, argv, &node);
    if (status != RAFT_OK)
        failed("start", status);
    else
        status = use(node);

    /* Stopping hands leadership over; freeing would stop the node as well. */
    if (status == RAFT_OK) {
        status = raft_node_stop(node, 0);
        if (status != RAFT_OK)
            failed("stop", status);
    }
    raft_node_free(node);
    return status == RAFT_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
