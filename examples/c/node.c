/*
 * A node of a cluster, written in C.
 *
 *   cc node.c $(pkg-config --cflags --libs raft) -o node
 *   ./node NODE_ID PORT PEERS DATA_DIR
 *
 * It runs until SIGTERM or SIGINT. Meanwhile it does what it reads on stdin, a command a line, and answers each
 * with a line on stdout:
 *
 *   set KEY JSON     ok REVISION
 *   get KEY          value JSON, or none
 *   delete KEY       ok REVISION, or none
 *   keys             keys COUNT KEY KEY ...
 *   status           status JSON
 *   explain          explain JSON
 *
 * or with: error STATUS maybe|no MESSAGE. "maybe" means that a write may have happened.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#include <raft.h>

enum { LINE = 1 << 16 };

static volatile sig_atomic_t told_to_stop;

static void on_signal(int number)
{
    (void)number;
    told_to_stop = 1;
}

static void answer_error(raft_status status)
{
    const char *maybe = raft_status_maybe_happened(status) ? "maybe" : "no";
    printf("error %s %s %s\n", raft_status_name(status), maybe, raft_last_error_message());
}

static void set(raft_node *node, const char *key, const char *json)
{
    uint64_t revision;
    raft_status status = raft_node_set_json(node, key, json, 0, &revision);
    if (status == RAFT_OK)
        printf("ok %" PRIu64 "\n", revision);
    else
        answer_error(status);
}

static void get(raft_node *node, const char *key)
{
    raft_value *value;
    raft_status status = raft_node_get(node, key, RAFT_CONSISTENCY_LINEARIZABLE, 0, &value);
    if (status == RAFT_OK)
        printf("value %s\n", raft_value_json(value));
    else if (status == RAFT_NOT_FOUND)
        puts("none");
    else
        answer_error(status);
    raft_value_free(value);
}

static void delete_key(raft_node *node, const char *key)
{
    bool deleted;
    uint64_t revision;
    raft_status status = raft_node_delete(node, key, 0, &deleted, &revision);
    if (status != RAFT_OK)
        answer_error(status);
    else if (deleted)
        printf("ok %" PRIu64 "\n", revision);
    else
        puts("none");
}

static void list(raft_node *node)
{
    raft_keys *keys;
    raft_status status = raft_node_keys(node, "", RAFT_CONSISTENCY_LINEARIZABLE, 0, &keys);
    if (status != RAFT_OK) {
        answer_error(status);
        return;
    }
    printf("keys %zu", raft_keys_count(keys));
    for (size_t n = 0; n < raft_keys_count(keys); n++)
        printf(" %s", raft_keys_at(keys, n));
    putchar('\n');
    raft_keys_free(keys);
}

static void document(raft_node *node, const char *name,
                     raft_status (*read_it)(raft_node *, uint32_t, char **))
{
    char *json;
    raft_status status = read_it(node, 0, &json);
    if (status == RAFT_OK)
        printf("%s %s\n", name, json);
    else
        answer_error(status);
    raft_string_free(json);
}

static void command(raft_node *node, char *line)
{
    char *rest = NULL;
    const char *verb = strtok_r(line, " ", &rest);
    const char *key = verb ? strtok_r(NULL, " ", &rest) : NULL;
    if (!verb)
        return;
    if (strcmp(verb, "set") == 0 && key && *rest)
        set(node, key, rest);
    else if (strcmp(verb, "get") == 0 && key)
        get(node, key);
    else if (strcmp(verb, "delete") == 0 && key)
        delete_key(node, key);
    else if (strcmp(verb, "keys") == 0)
        list(node);
    else if (strcmp(verb, "status") == 0)
        document(node, verb, raft_node_status);
    else if (strcmp(verb, "explain") == 0)
        document(node, verb, raft_node_explain);
    else
        printf("error bad_request no not a command: %s\n", verb);
    fflush(stdout);
}

/* Does every whole line of the buffer; returns how much of it is left. */
static size_t commands(raft_node *node, char *buffer, size_t length)
{
    char *line = buffer, *end;
    while ((end = memchr(line, '\n', length - (size_t)(line - buffer))) != NULL) {
        *end = '\0';
        command(node, line);
        line = end + 1;
    }
    length -= (size_t)(line - buffer);
    memmove(buffer, line, length);
    return length;
}

/* Reads commands until it is told to stop. Signals are let in only while it waits, so that none is missed. */
static void serve(raft_node *node, const sigset_t *while_waiting)
{
    static char buffer[LINE];
    size_t length = 0;
    int nothing_to_read = 0;
    while (!told_to_stop) {
        fd_set input;
        FD_ZERO(&input);
        if (!nothing_to_read)
            FD_SET(STDIN_FILENO, &input);
        if (pselect(STDIN_FILENO + 1, &input, NULL, NULL, NULL, while_waiting) <= 0)
            continue;
        ssize_t got = read(STDIN_FILENO, buffer + length, sizeof buffer - length);
        if (got > 0)
            length = commands(node, buffer, length + (size_t)got);
        else if (got == 0 || errno != EINTR)
            nothing_to_read = 1; /* the end of stdin, or of a line that is too long */
    }
}

static raft_status start(char **argv, raft_node **node)
{
    unsigned long port = strtoul(argv[2], NULL, 10);
    raft_node_config *config;
    raft_status status = raft_node_config_new(argv[1], (uint16_t)(port > UINT16_MAX ? 0 : port), &config);
    if (status == RAFT_OK)
        status = raft_node_config_set_peers(config, argv[3]);
    if (status == RAFT_OK)
        status = raft_node_config_set_data_dir(config, argv[4]);
    if (status == RAFT_OK)
        status = raft_node_open(config, node);
    if (status == RAFT_OK)
        status = raft_node_start(*node);
    raft_node_config_free(config);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: %s NODE_ID PORT PEERS DATA_DIR\n", argv[0]);
        return 2;
    }

    /* Before the node starts threads: they inherit the mask, and the signals come to this one. */
    sigset_t stopping, before;
    sigemptyset(&stopping);
    sigaddset(&stopping, SIGTERM);
    sigaddset(&stopping, SIGINT);
    sigprocmask(SIG_BLOCK, &stopping, &before);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    raft_node *node = NULL;
    raft_status status = start(argv, &node);
    if (status == RAFT_OK) {
        printf("started %s with raft %s\n", argv[1], raft_version());
        fflush(stdout);
        serve(node, &before);
        status = raft_node_stop(node, 0);
    }
    if (status != RAFT_OK)
        fprintf(stderr, "%s: %s (%s)\n", argv[0], raft_last_error_message(), raft_status_name(status));
    raft_node_free(node);
    return status == RAFT_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
