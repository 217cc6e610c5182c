/*
 * Raft you can embed: a replicated key-value store, as a node in this process or as a client of nodes
 * elsewhere.
 *
 * Written by cbindgen from raft-ffi/src; do not edit.
 *
 * Every call answers with a raft_status. Where that is not RAFT_OK, raft_last_error_message() says why in
 * words, and every out-parameter has a safe value: NULL, 0 or false.
 *
 * What you are given through an out-parameter is yours, and is freed by the one function its type names:
 * raft_node_free(), raft_client_free(), raft_value_free(), raft_keys_free(), raft_string_free() for a char *,
 * and the _free() of each configuration. A const char * that a function returns is never yours: it belongs to
 * the library, or to the value or list it was asked of. Nothing you pass in is kept: it may be freed or
 * changed once the call is back. Freeing NULL does nothing.
 *
 * Every function may be called from any thread at any time, but one: a handle is freed once, when no other
 * call uses it any more. Calls block the thread that makes them, until their timeout at the latest. After
 * fork() a child opens handles of its own; those of its parent answer RAFT_FORKED there.
 *
 * Texts are UTF-8. A key with a NUL byte in it, which other doors allow, can be listed but not named from
 * here.
 *
 * The library installs no signal handler, changes no signal's disposition, and never ends the process (memory
 * that has run out does). SIGPIPE may be left at its default.
 *
 * Debian's libraft-dev is another project with the same file names (raft.h, libraft.so, raft.pc) and none of
 * the same symbols: install one of the two under a prefix of its own.
 */

#ifndef RAFT_H
#define RAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The version of the binary interface this header describes. A library with the same number, or the same
 * soname, can be exchanged for this one without compiling anew.
 */
#define RAFT_ABI_VERSION 1

/**
 * How a call went. The numbers never change their meaning; new ones may be added.
 *
 * What each failure says in words is `raft_last_error_message()`.
 */
enum raft_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Done.
     */
    RAFT_OK = 0,
    /**
     * The key is not set. Nothing failed.
     */
    RAFT_NOT_FOUND = 1,
    /**
     * A pointer that must not be NULL is. Nothing was done.
     */
    RAFT_NULL_ARGUMENT = 2,
    /**
     * A text is not UTF-8. Nothing was done.
     */
    RAFT_INVALID_UTF8 = 3,
    /**
     * A fault in this library, caught before it could reach your program. A write may have happened. Please
     * report the message.
     */
    RAFT_PANIC = 4,
    /**
     * An argument cannot be used. Nothing was done.
     */
    RAFT_BAD_REQUEST = 10,
    /**
     * The configuration of a node cannot work.
     */
    RAFT_CONFIG = 11,
    /**
     * The address cannot be listened on: it is in use, not this machine's, or not permitted.
     */
    RAFT_LISTEN = 12,
    /**
     * The data directory cannot be used: another process has it, or it cannot be written.
     */
    RAFT_DATA_DIRECTORY = 13,
    /**
     * What the data directory holds is damaged, or is another node's.
     */
    RAFT_DAMAGED = 14,
    /**
     * The operating system did not give what it takes.
     */
    RAFT_SYSTEM = 15,
    /**
     * No leader was known until the deadline. The call had no effect.
     */
    RAFT_NO_LEADER = 16,
    /**
     * No endpoint could be reached until the deadline. The call had no effect.
     */
    RAFT_UNREACHABLE = 17,
    /**
     * No answer came until the deadline. The call had no effect.
     */
    RAFT_TIMEOUT = 18,
    /**
     * A write was begun, and its outcome is not known: it may have happened, or may yet.
     */
    RAFT_OUTCOME_UNKNOWN = 19,
    /**
     * Too much is waiting already. The call had no effect; try again later.
     */
    RAFT_OVERLOADED = 20,
    /**
     * A value is over its limit. The call had no effect.
     */
    RAFT_TOO_LARGE = 21,
    /**
     * The call contradicts one before it. It had no effect.
     */
    RAFT_CONFLICT = 22,
    /**
     * The node does not know who asks. The call had no effect.
     */
    RAFT_UNAUTHORIZED = 23,
    /**
     * The node does not allow it. The call had no effect.
     */
    RAFT_FORBIDDEN = 24,
    /**
     * The node is stopping, has stopped, or was not started. The call had no effect.
     */
    RAFT_SHUTTING_DOWN = 25,
    /**
     * The node cannot go on; its log and its status say why.
     */
    RAFT_FAILED = 26,
    /**
     * The wait was given up. A write may have happened, or may yet.
     */
    RAFT_INTERRUPTED = 27,
    /**
     * What answers at an endpoint is no Raft node.
     */
    RAFT_PROTOCOL = 28,
    /**
     * The handle was made by the parent of this process: after fork() a child opens handles of its own.
     */
    RAFT_FORKED = 29,
    /**
     * The leader's disk is full, and nobody else can lead. The call had no effect.
     */
    RAFT_DISK_FULL = 30,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum raft_status raft_status;
#else
typedef int32_t raft_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a value was set as.
 */
enum raft_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * There is no value.
     */
    RAFT_KIND_NONE = 0,
    /**
     * Bytes.
     */
    RAFT_KIND_BYTES = 1,
    /**
     * A text: to JSON, a string.
     */
    RAFT_KIND_TEXT = 2,
    /**
     * Any other JSON.
     */
    RAFT_KIND_JSON = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum raft_kind raft_kind;
#else
typedef int32_t raft_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How much a line of the log matters.
 */
enum raft_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Something does not work.
     */
    RAFT_LOG_ERROR = 1,
    /**
     * Something needs looking at.
     */
    RAFT_LOG_WARN = 2,
    /**
     * What a node does: starts, leads, follows, stops.
     */
    RAFT_LOG_INFO = 3,
    /**
     * More, for finding a fault.
     */
    RAFT_LOG_DEBUG = 4,
    /**
     * Everything.
     */
    RAFT_LOG_TRACE = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum raft_log_level raft_log_level;
#else
typedef int32_t raft_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How fresh a read has to be.
 */
enum raft_consistency
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * What the client's configuration says; for a node, linearizable.
     */
    RAFT_CONSISTENCY_DEFAULT = 0,
    /**
     * The read sees every write that was acknowledged before it began.
     */
    RAFT_CONSISTENCY_LINEARIZABLE = 1,
    /**
     * The read is answered by any node from what it has, at once, even without a leader.
     */
    RAFT_CONSISTENCY_STALE = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum raft_consistency raft_consistency;
#else
typedef uint32_t raft_consistency;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A client of a cluster: finds the nodes that answer, and goes on with the others when one fails. It is
 * yours: free it with raft_client_free().
 */
typedef struct raft_client raft_client;

/**
 * The configuration of a client. raft_client_open() takes a copy of it. It is yours: free it with
 * raft_client_config_free().
 *
 * What is not set has its documented default: the nodes at 127.0.0.1, ports 12000 to 12002; 5 seconds a
 * call; linearizable reads.
 */
typedef struct raft_client_config raft_client_config;

/**
 * A list of keys. It is a copy: it never changes. It is yours: free it with raft_keys_free().
 */
typedef struct raft_keys raft_keys;

/**
 * A node in this process: a member of a cluster, with threads, a port and a data directory of its own. It is
 * yours: free it with raft_node_free().
 */
typedef struct raft_node raft_node;

/**
 * The configuration of a node. raft_node_open() takes a copy of it. It is yours: free it with
 * raft_node_config_free().
 *
 * What is not set has its documented default: the members are node_0, node_1 and node_2 at 127.0.0.1, ports
 * 12000 to 12002; the node listens on 127.0.0.1, keeps its log in ./raft-data/NODE_ID, and waits 150 to 300
 * ms for a leader who sends a heartbeat every 50 ms.
 */
typedef struct raft_node_config raft_node_config;

/**
 * A value that was read, and the revision at which it was set. It is a copy: it never changes, and outlives
 * the node or client it was read through. It is yours: free it with raft_value_free().
 */
typedef struct raft_value raft_value;

/**
 * Takes one line of the log: its level, the part of the library it comes from, and what it says, in UTF-8.
 * Both texts are gone when it is back. Called from any thread, several at a time. It should be quick: the
 * node waits for it. It must not throw or jump out.
 */
typedef void (*raft_log_callback)(raft_log_level level,
                                  const char *target,
                                  const char *message,
                                  void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library, such as "1.2.3". It lives for ever: do not free it.
 *
 * Threads: any, at any time.
 */
const char *raft_version(void);

/**
 * The RAFT_ABI_VERSION the library was built with. It is the header's where the program was linked with the
 * library it was compiled for.
 *
 * Threads: any, at any time.
 */
uint32_t raft_abi_version(void);

/**
 * The stable word for a status, such as "no_leader"; "unknown" for a number that is none. The same words are
 * the codes of the HTTP API's errors. It lives for ever: do not free it.
 *
 * Threads: any, at any time.
 */
const char *raft_status_name(int32_t code);

/**
 * Whether a write that came back with this status may have happened, or may yet. Everything else either
 * happened (RAFT_OK) or had no effect. True for a number that is no status.
 *
 * Threads: any, at any time.
 */
bool raft_status_maybe_happened(int32_t code);

/**
 * What the last call of this thread that did not return RAFT_OK had to say: one line of UTF-8 that names
 * what failed, with what, and what to do. "" where none has failed yet; never NULL.
 *
 * The text is the library's: do not free it. It stays as it is until the next call of this thread that does
 * not return RAFT_OK; calls that succeed and calls that free something leave it alone, so it may be read
 * after cleaning up.
 *
 * Threads: any, at any time; each has a message of its own.
 */
const char *raft_last_error_message(void);

/**
 * Makes a configuration for the node `node_id` (1 to 64 of A-Z a-z 0-9 _ . -), which is to listen on `port`
 * for clients and for the other nodes. All else has its default.
 *
 * `*config` becomes the configuration, which is yours; NULL where it fails.
 *
 * Threads: any, at any time.
 *
 * Pointers: `node_id` is NULL or a NUL-terminated text; `config` is NULL or may be written to.
 */
raft_status raft_node_config_new(const char *node_id,
                                 uint16_t port,
                                 raft_node_config **config);

/**
 * Names the members of the cluster, this node among them, each with the address at which the others reach
 * it: "node_0=HOST:PORT,node_1=HOST:PORT". The list is the same on every node.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed; `peers` is NULL or a NUL-terminated text.
 */
raft_status raft_node_config_set_peers(raft_node_config *config,
                                       const char *peers);

/**
 * Has the node added to a cluster that runs, instead of naming its members: `endpoints` are addresses of
 * members, "HOST:PORT,HOST:PORT"; one that answers is enough. It asks them until it is taken in. Of this
 * call and raft_node_config_set_peers() the later one holds.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed; `endpoints` is NULL or a NUL-terminated
 * text.
 */
raft_status raft_node_config_set_join(raft_node_config *config,
                                      const char *endpoints);

/**
 * Listens on another address than 127.0.0.1: an IP address, or a name of this machine. One that other
 * machines reach needs raft_node_config_set_insecure() as well.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed; `host` is NULL or a NUL-terminated text.
 */
raft_status raft_node_config_set_host(raft_node_config *config,
                                      const char *host);

/**
 * Says at which "HOST:PORT" the others reach this node, where that is not where it listens (behind a port
 * that is forwarded, say).
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed; `address` is NULL or a NUL-terminated text.
 */
raft_status raft_node_config_set_advertise(raft_node_config *config,
                                           const char *address);

/**
 * Keeps the log in this directory instead of ./raft-data/NODE_ID. It is made where it is not there. The path
 * need not be UTF-8.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed; `path` is NULL or a NUL-terminated text.
 */
raft_status raft_node_config_set_data_dir(raft_node_config *config,
                                          const char *path);

/**
 * Keeps the log in memory alone (true) or in the data directory (false, the default). A node with an
 * ephemeral log that stops has lost its disk: a cluster takes it for a member that was wiped, and lets it
 * vote no more.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed.
 */
raft_status raft_node_config_set_ephemeral(raft_node_config *config,
                                           bool ephemeral);

/**
 * How long, in milliseconds, a node that hears no leader waits before it stands for election: a time drawn
 * between `min_ms` and `max_ms`. At least twice the heartbeat interval; at most a minute. By default 150 and
 * 300.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed.
 */
raft_status raft_node_config_set_election_timeout_ms(raft_node_config *config,
                                                     uint32_t min_ms,
                                                     uint32_t max_ms);

/**
 * How often, in milliseconds, a leader speaks when it has nothing to say. From 1 to half the lower election
 * timeout; by default 50.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed.
 */
raft_status raft_node_config_set_heartbeat_interval_ms(raft_node_config *config,
                                                       uint32_t interval_ms);

/**
 * Lets the node listen on an address that other machines reach, though nothing asks them who they are. For
 * networks that are trusted. False by default.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed.
 */
raft_status raft_node_config_set_insecure(raft_node_config *config,
                                          bool insecure);

/**
 * The largest value that may be set through this node, in bytes: from 1 to 8 MiB, by default 1 MiB.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed.
 */
raft_status raft_node_config_set_max_value_bytes(raft_node_config *config, size_t bytes);

/**
 * How long a call may take, in milliseconds, where it does not say: from 1 to an hour, by default 5000. It
 * also holds for requests over HTTP that do not say.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed.
 */
raft_status raft_node_config_set_request_timeout_ms(raft_node_config *config,
                                                    uint32_t timeout_ms);

/**
 * Threads that serve the node's sockets: from 0 to 256. With 0, the default, the node's one thread does so
 * as well, which is fastest on few cores.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed.
 */
raft_status raft_node_config_set_io_threads(raft_node_config *config,
                                            uint32_t threads);

/**
 * How much of the recording of what the node did is kept, in MiB: from 0 to 65536, by default 64. With 0
 * nothing is recorded. It is in the data directory, or in memory for an ephemeral node, and has the keys and
 * values in it; `raft-server replay` shows it.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed.
 */
raft_status raft_node_config_set_record_mib(raft_node_config *config,
                                            uint32_t mib);

/**
 * By how many MiB the log grows before a snapshot is taken and the log before it is let go of: from 0 to
 * 65536, by default 64, and more where the last snapshot was longer. With 0 none is taken by itself. The
 * leader's setting counts.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed.
 */
raft_status raft_node_config_set_snapshot_mib(raft_node_config *config,
                                              uint32_t mib);

/**
 * Frees a configuration. Nodes opened with it go on. Does nothing with NULL.
 *
 * Threads: any, once no other uses the configuration any more.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed; nobody uses it any more.
 */
void raft_node_config_free(raft_node_config *config);

/**
 * Makes a node from a copy of a configuration. It does nothing until it is started.
 *
 * `*node` becomes the node, which is yours; NULL where it fails, with RAFT_CONFIG where the configuration
 * cannot work.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed; `node` is NULL or may be written to.
 */
raft_status raft_node_open(const raft_node_config *config,
                           raft_node **node);

/**
 * Opens the data directory, listens on the port, and runs the node on threads of its own. Comes back when
 * that is done; the node need not have a leader yet, and calls wait for one.
 *
 * RAFT_LISTEN, RAFT_DATA_DIRECTORY, RAFT_DAMAGED or RAFT_SYSTEM where it cannot, and then nothing is left
 * running. A node that runs is left as it is; one that was stopped may be started again.
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed.
 */
raft_status raft_node_start(raft_node *node);

/**
 * Hands leadership over if this node leads, stops it, and waits until its threads have ended and its port is
 * free. Calls under way in other threads come back with RAFT_SHUTTING_DOWN or RAFT_OUTCOME_UNKNOWN. Stopping
 * a node that does not run does nothing.
 *
 * `timeout_ms`: how long that may take; 0 for 10 seconds. RAFT_TIMEOUT where it takes longer (a disk that
 * hangs): the node has been told to stop, and may be waited for with another call.
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed.
 */
raft_status raft_node_stop(raft_node *node,
                           uint32_t timeout_ms);

/**
 * Stops the node if it runs, as raft_node_stop() does, and frees it. Does nothing with NULL. In a forked
 * child it leaves the parent's node alone.
 *
 * Threads: any, once no other uses the node any more.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; nobody uses it any more.
 */
void raft_node_free(raft_node *node);

/**
 * Sets a key (1 byte to 4 KiB of UTF-8) to `size` bytes, and waits until that is on the disks of a majority
 * and applied. However often it has to be sent, it happens once.
 *
 * `data` may be NULL where `size` is 0. `timeout_ms`: how long it may take; 0 for the node's default.
 * `revision`: where to put the revision of the key, 0 where it fails; may be NULL.
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; `key` is NULL or a NUL-terminated text; `data`
 * is NULL or points at `size` bytes; `revision` is NULL or may be written to.
 */
raft_status raft_node_set(raft_node *node,
                          const char *key,
                          const void *data,
                          size_t size,
                          uint32_t timeout_ms,
                          uint64_t *revision);

/**
 * Sets a key to a text in UTF-8, which is a string to JSON, Python and the shell. Otherwise as
 * raft_node_set().
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; `key` and `text` are NULL or NUL-terminated
 * texts; `revision` is NULL or may be written to.
 */
raft_status raft_node_set_text(raft_node *node,
                               const char *key,
                               const char *text,
                               uint32_t timeout_ms,
                               uint64_t *revision);

/**
 * Sets a key to the JSON value that `json` is the text of; {"$base64":"..."} stands for bytes. Otherwise as
 * raft_node_set(); RAFT_BAD_REQUEST where it is no JSON.
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; `key` and `json` are NULL or NUL-terminated
 * texts; `revision` is NULL or may be written to.
 */
raft_status raft_node_set_json(raft_node *node,
                               const char *key,
                               const char *json,
                               uint32_t timeout_ms,
                               uint64_t *revision);

/**
 * Reads a key. RAFT_NOT_FOUND where it is not set.
 *
 * `consistency`: a raft_consistency. `timeout_ms`: how long it may take; 0 for the node's default. `*value`
 * becomes the value, which is yours: free it with raft_value_free(). NULL where there is none.
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; `key` is NULL or a NUL-terminated text;
 * `value` is NULL or may be written to.
 */
raft_status raft_node_get(raft_node *node,
                          const char *key,
                          uint32_t consistency,
                          uint32_t timeout_ms,
                          raft_value **value);

/**
 * Deletes a key, and waits until that is on the disks of a majority and applied. However often it has to be
 * sent, it happens once. RAFT_OK also where the key was not set.
 *
 * `timeout_ms`: how long it may take; 0 for the node's default. `deleted`: where to put whether there was
 * anything to delete; may be NULL. `revision`: where to put the revision at which it happened; may be NULL.
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; `key` is NULL or a NUL-terminated text;
 * `deleted` and `revision` are NULL or may be written to.
 */
raft_status raft_node_delete(raft_node *node,
                             const char *key,
                             uint32_t timeout_ms,
                             bool *deleted,
                             uint64_t *revision);

/**
 * Reads all keys that start with `prefix` ("" for all), in the order of their bytes. Long lists are read in
 * pages, between which the store may change.
 *
 * `consistency`: a raft_consistency. `timeout_ms`: how long it may take; 0 for the node's default. `*keys`
 * becomes the list, which is yours: free it with raft_keys_free(). NULL where it fails.
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; `prefix` is NULL or a NUL-terminated text;
 * `keys` is NULL or may be written to.
 */
raft_status raft_node_keys(raft_node *node,
                           const char *prefix,
                           uint32_t consistency,
                           uint32_t timeout_ms,
                           raft_keys **keys);

/**
 * The node's view of itself and its cluster: the JSON text of GET /api/status.
 *
 * `timeout_ms`: how long it may take; 0 for the node's default. `*json` becomes the text, which is yours:
 * free it with raft_string_free(). NULL where it fails.
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; `json` is NULL or may be written to.
 */
raft_status raft_node_status(raft_node *node,
                             uint32_t timeout_ms,
                             char **json);

/**
 * Why there is no leader, or what else is in the way, and what would help: the JSON text of GET /api/why.
 *
 * `timeout_ms`: how long it may take; 0 for the node's default. `*json` becomes the text, which is yours:
 * free it with raft_string_free(). NULL where it fails.
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; `json` is NULL or may be written to.
 */
raft_status raft_node_explain(raft_node *node,
                              uint32_t timeout_ms,
                              char **json);

/**
 * Has leadership handed over: to the voter `node_id`, or where that is NULL to the one that has most of the
 * log. RAFT_OK once another leader is known, at once where `node_id` leads already; RAFT_CONFLICT where the
 * leader goes on leading, and why.
 *
 * `timeout_ms`: how long it may take; 0 for the node's default. `leader`: where to put the id of whoever
 * leads then, which is yours: free it with raft_string_free(). NULL where it fails; may be NULL.
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; `node_id` is NULL or a NUL-terminated text;
 * `leader` is NULL or may be written to.
 */
raft_status raft_node_transfer(raft_node *node,
                               const char *node_id,
                               uint32_t timeout_ms,
                               char **leader);

/**
 * Who belongs to the cluster: the JSON text of GET /api/members.
 *
 * `timeout_ms`: how long it may take; 0 for the node's default. `*json` becomes the text, which is yours:
 * free it with raft_string_free(). NULL where it fails.
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; `json` is NULL or may be written to.
 */
raft_status raft_node_members(raft_node *node,
                              uint32_t timeout_ms,
                              char **json);

/**
 * Has the server `node_id`, which the members reach at the "HOST:PORT" `address`, added to the cluster, and
 * waits until it has caught up and votes, or where `learner` is true until it is a member without a vote.
 * RAFT_CONFLICT where the leader does not do it, and why. Asked for again, what is under way is waited for.
 *
 * `timeout_ms`: how long it may take; 0 for the node's default.
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; `node_id` and `address` are NULL or
 * NUL-terminated texts.
 */
raft_status raft_node_add_member(raft_node *node,
                                 const char *node_id,
                                 const char *address,
                                 bool learner,
                                 uint32_t timeout_ms);

/**
 * Has the learner `node_id` made a voter, once it has caught up. Otherwise as raft_node_add_member().
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; `node_id` is NULL or a NUL-terminated text.
 */
raft_status raft_node_promote_member(raft_node *node,
                                     const char *node_id,
                                     uint32_t timeout_ms);

/**
 * Has the server `node_id`, which the members reach at the "HOST:PORT" `address`, take the place of the
 * voter `old_id` once it has caught up. Otherwise as raft_node_add_member().
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; `old_id`, `node_id` and `address` are NULL
 * or NUL-terminated texts.
 */
raft_status raft_node_replace_member(raft_node *node,
                                     const char *old_id,
                                     const char *node_id,
                                     const char *address,
                                     uint32_t timeout_ms);

/**
 * Gives the member `node_id` a priority: among those that could lead, the one with the highest does.
 * Otherwise as raft_node_add_member().
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; `node_id` is NULL or a NUL-terminated text.
 */
raft_status raft_node_set_priority(raft_node *node,
                                   const char *node_id,
                                   uint8_t priority,
                                   uint32_t timeout_ms);

/**
 * Has a snapshot taken now, on all nodes, of all that was acknowledged before this call and maybe more, and
 * waits until the leader's own is on its disk. RAFT_CONFLICT where the leader cannot write one, and why.
 *
 * `timeout_ms`: how long it may take; 0 for the node's default. `index`: where to put the log index whose
 * state it holds; `bytes`: the length of its file; `took_ms`: how long the leader took over it, in
 * milliseconds. Each is 0 where it fails, and may be NULL.
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; `index`, `bytes` and `took_ms` are NULL or
 * may be written to.
 */
raft_status raft_node_snapshot(raft_node *node,
                               uint32_t timeout_ms,
                               uint64_t *index,
                               uint64_t *bytes,
                               uint64_t *took_ms);

/**
 * Has the member `node_id` removed, and waits until that is committed. RAFT_CONFLICT where a majority of
 * those who stay cannot be reached, unless `force` is true: then nothing can be written until enough are
 * back.
 *
 * `timeout_ms`: how long it may take; 0 for the node's default.
 *
 * Threads: any, at any time.
 *
 * Pointers: `node` is NULL, or was given by this library and not freed; `node_id` is NULL or a NUL-terminated text.
 */
raft_status raft_node_remove_member(raft_node *node,
                                    const char *node_id,
                                    bool force,
                                    uint32_t timeout_ms);

/**
 * Makes a configuration in which all has its default.
 *
 * `*config` becomes the configuration, which is yours; NULL where it fails.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL or may be written to.
 */
raft_status raft_client_config_new(raft_client_config **config);

/**
 * Names the nodes to ask: "HOST:PORT,HOST:PORT". Not all of them need be there.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed; `endpoints` is NULL or a NUL-terminated
 * text.
 */
raft_status raft_client_config_set_endpoints(raft_client_config *config,
                                             const char *endpoints);

/**
 * How long a call may take in all, in milliseconds, where it does not say; by default 5000.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed.
 */
raft_status raft_client_config_set_timeout_ms(raft_client_config *config, uint32_t timeout_ms);

/**
 * How fresh reads are that do not say: a raft_consistency; by default linearizable.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed.
 */
raft_status raft_client_config_set_consistency(raft_client_config *config, uint32_t consistency);

/**
 * Frees a configuration. Clients opened with it go on. Does nothing with NULL.
 *
 * Threads: any, once no other uses the configuration any more.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed; nobody uses it any more.
 */
void raft_client_config_free(raft_client_config *config);

/**
 * Makes a client from a copy of a configuration. Nothing is dialled yet.
 *
 * `*client` becomes the client, which is yours; NULL where it fails.
 *
 * Threads: any, at any time.
 *
 * Pointers: `config` is NULL, or was given by this library and not freed; `client` is NULL or may be written to.
 */
raft_status raft_client_open(const raft_client_config *config,
                             raft_client **client);

/**
 * Closes the client's connections and frees it. Does nothing with NULL. In a forked child it leaves the
 * parent's connections alone.
 *
 * Threads: any, once no other uses the client any more.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; nobody uses it any more.
 */
void raft_client_free(raft_client *client);

/**
 * Sets a key (1 byte to 4 KiB of UTF-8) to `size` bytes, and waits until that is on the disks of a majority
 * and applied. However often it has to be sent, and to whichever node, it happens once.
 *
 * `data` may be NULL where `size` is 0. `timeout_ms`: how long it may take; 0 for the client's default.
 * `revision`: where to put the revision of the key, 0 where it fails; may be NULL.
 *
 * Threads: any, at any time.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; `key` is NULL or a NUL-terminated text;
 * `data` is NULL or points at `size` bytes; `revision` is NULL or may be written to.
 */
raft_status raft_client_set(raft_client *client,
                            const char *key,
                            const void *data,
                            size_t size,
                            uint32_t timeout_ms,
                            uint64_t *revision);

/**
 * Sets a key to a text in UTF-8, which is a string to JSON, Python and the shell. Otherwise as
 * raft_client_set().
 *
 * Threads: any, at any time.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; `key` and `text` are NULL or NUL-terminated
 * texts; `revision` is NULL or may be written to.
 */
raft_status raft_client_set_text(raft_client *client,
                                 const char *key,
                                 const char *text,
                                 uint32_t timeout_ms,
                                 uint64_t *revision);

/**
 * Sets a key to the JSON value that `json` is the text of; {"$base64":"..."} stands for bytes. Otherwise as
 * raft_client_set(); RAFT_BAD_REQUEST where it is no JSON.
 *
 * Threads: any, at any time.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; `key` and `json` are NULL or NUL-terminated
 * texts; `revision` is NULL or may be written to.
 */
raft_status raft_client_set_json(raft_client *client,
                                 const char *key,
                                 const char *json,
                                 uint32_t timeout_ms,
                                 uint64_t *revision);

/**
 * Reads a key. RAFT_NOT_FOUND where it is not set.
 *
 * `consistency`: a raft_consistency. `timeout_ms`: how long it may take; 0 for the client's default.
 * `*value` becomes the value, which is yours: free it with raft_value_free(). NULL where there is none.
 *
 * Threads: any, at any time.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; `key` is NULL or a NUL-terminated text;
 * `value` is NULL or may be written to.
 */
raft_status raft_client_get(raft_client *client,
                            const char *key,
                            uint32_t consistency,
                            uint32_t timeout_ms,
                            raft_value **value);

/**
 * Deletes a key, and waits until that is on the disks of a majority and applied. However often it has to be
 * sent, it happens once. RAFT_OK also where the key was not set.
 *
 * `timeout_ms`: how long it may take; 0 for the client's default. `deleted`: where to put whether there was
 * anything to delete; may be NULL. `revision`: where to put the revision at which it happened; may be NULL.
 *
 * Threads: any, at any time.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; `key` is NULL or a NUL-terminated text;
 * `deleted` and `revision` are NULL or may be written to.
 */
raft_status raft_client_delete(raft_client *client,
                               const char *key,
                               uint32_t timeout_ms,
                               bool *deleted,
                               uint64_t *revision);

/**
 * Reads all keys that start with `prefix` ("" for all), in the order of their bytes. Long lists are read in
 * pages, between which the store may change.
 *
 * `consistency`: a raft_consistency. `timeout_ms`: how long it may take; 0 for the client's default. `*keys`
 * becomes the list, which is yours: free it with raft_keys_free(). NULL where it fails.
 *
 * Threads: any, at any time.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; `prefix` is NULL or a NUL-terminated text;
 * `keys` is NULL or may be written to.
 */
raft_status raft_client_keys(raft_client *client,
                             const char *prefix,
                             uint32_t consistency,
                             uint32_t timeout_ms,
                             raft_keys **keys);

/**
 * A node's view of itself and its cluster: the JSON text of GET /api/status, from whichever node answers
 * first.
 *
 * `timeout_ms`: how long it may take; 0 for the client's default. `*json` becomes the text, which is yours:
 * free it with raft_string_free(). NULL where it fails.
 *
 * Threads: any, at any time.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; `json` is NULL or may be written to.
 */
raft_status raft_client_status(raft_client *client,
                               uint32_t timeout_ms,
                               char **json);

/**
 * Why there is no leader, or what else is in the way, and what would help: the JSON text of GET /api/why,
 * from whichever node answers first.
 *
 * `timeout_ms`: how long it may take; 0 for the client's default. `*json` becomes the text, which is yours:
 * free it with raft_string_free(). NULL where it fails.
 *
 * Threads: any, at any time.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; `json` is NULL or may be written to.
 */
raft_status raft_client_explain(raft_client *client,
                                uint32_t timeout_ms,
                                char **json);

/**
 * Has leadership handed over: to the voter `node_id`, or where that is NULL to the one that has most of the
 * log. RAFT_OK once another leader is known, at once where `node_id` leads already; RAFT_CONFLICT where the
 * leader goes on leading, and why.
 *
 * `timeout_ms`: how long it may take; 0 for the client's default. `leader`: where to put the id of whoever
 * leads then, which is yours: free it with raft_string_free(). NULL where it fails; may be NULL.
 *
 * Threads: any, at any time.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; `node_id` is NULL or a NUL-terminated text;
 * `leader` is NULL or may be written to.
 */
raft_status raft_client_transfer(raft_client *client,
                                 const char *node_id,
                                 uint32_t timeout_ms,
                                 char **leader);

/**
 * Who belongs to the cluster: the JSON text of GET /api/members.
 *
 * `timeout_ms`: how long it may take; 0 for the client's default. `*json` becomes the text, which is yours:
 * free it with raft_string_free(). NULL where it fails.
 *
 * Threads: any, at any time.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; `json` is NULL or may be written to.
 */
raft_status raft_client_members(raft_client *client,
                                uint32_t timeout_ms,
                                char **json);

/**
 * Has the server `node_id`, which the members reach at the "HOST:PORT" `address`, added to the cluster, and
 * waits until it has caught up and votes, or where `learner` is true until it is a member without a vote.
 * RAFT_CONFLICT where the leader does not do it, and why. Asked for again, what is under way is waited for.
 *
 * `timeout_ms`: how long it may take; 0 for the client's default.
 *
 * Threads: any, at any time.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; `node_id` and `address` are NULL or
 * NUL-terminated texts.
 */
raft_status raft_client_add_member(raft_client *client,
                                   const char *node_id,
                                   const char *address,
                                   bool learner,
                                   uint32_t timeout_ms);

/**
 * Has the learner `node_id` made a voter, once it has caught up. Otherwise as raft_client_add_member().
 *
 * Threads: any, at any time.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; `node_id` is NULL or a NUL-terminated text.
 */
raft_status raft_client_promote_member(raft_client *client,
                                       const char *node_id,
                                       uint32_t timeout_ms);

/**
 * Has the server `node_id`, which the members reach at the "HOST:PORT" `address`, take the place of the
 * voter `old_id` once it has caught up. Otherwise as raft_client_add_member().
 *
 * Threads: any, at any time.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; `old_id`, `node_id` and `address` are NULL
 * or NUL-terminated texts.
 */
raft_status raft_client_replace_member(raft_client *client,
                                       const char *old_id,
                                       const char *node_id,
                                       const char *address,
                                       uint32_t timeout_ms);

/**
 * Gives the member `node_id` a priority: among those that could lead, the one with the highest does.
 * Otherwise as raft_client_add_member().
 *
 * Threads: any, at any time.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; `node_id` is NULL or a NUL-terminated text.
 */
raft_status raft_client_set_priority(raft_client *client,
                                     const char *node_id,
                                     uint8_t priority,
                                     uint32_t timeout_ms);

/**
 * Has a snapshot taken now, on all nodes, of all that was acknowledged before this call and maybe more, and
 * waits until the leader's own is on its disk. RAFT_CONFLICT where the leader cannot write one, and why.
 *
 * `timeout_ms`: how long it may take; 0 for the client's default. `index`: where to put the log index whose
 * state it holds; `bytes`: the length of its file; `took_ms`: how long the leader took over it, in
 * milliseconds. Each is 0 where it fails, and may be NULL.
 *
 * Threads: any, at any time.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; `index`, `bytes` and `took_ms` are NULL or
 * may be written to.
 */
raft_status raft_client_snapshot(raft_client *client,
                                 uint32_t timeout_ms,
                                 uint64_t *index,
                                 uint64_t *bytes,
                                 uint64_t *took_ms);

/**
 * Has the member `node_id` removed, and waits until that is committed. RAFT_CONFLICT where a majority of
 * those who stay cannot be reached, unless `force` is true: then nothing can be written until enough are
 * back.
 *
 * `timeout_ms`: how long it may take; 0 for the client's default.
 *
 * Threads: any, at any time.
 *
 * Pointers: `client` is NULL, or was given by this library and not freed; `node_id` is NULL or a NUL-terminated text.
 */
raft_status raft_client_remove_member(raft_client *client,
                                      const char *node_id,
                                      bool force,
                                      uint32_t timeout_ms);

/**
 * What the value was set as; RAFT_KIND_NONE for NULL.
 *
 * Threads: any, at any time.
 *
 * Pointers: `value` is NULL, or was given by this library and not freed.
 */
raft_kind raft_value_kind(const raft_value *value);

/**
 * The value's content: the bytes as they were set, what a text says (in UTF-8, without quotes), or the JSON
 * text as it was set. raft_value_size() says how many bytes there are; a NUL stands behind them, which is
 * not counted, so that text may be used as a C string. NULL for NULL.
 *
 * The content is the value's: do not free it; it is gone when the value is freed.
 *
 * Threads: any, at any time.
 *
 * Pointers: `value` is NULL, or was given by this library and not freed.
 */
const char *raft_value_data(const raft_value *value);

/**
 * The number of bytes of the value's content, without the NUL behind it; 0 for NULL.
 *
 * Threads: any, at any time.
 *
 * Pointers: `value` is NULL, or was given by this library and not freed.
 */
size_t raft_value_size(const raft_value *value);

/**
 * The value as the HTTP API shows it: a NUL-terminated JSON text, a text in quotes, bytes as a string where
 * they are UTF-8 and else as {"$base64":"..."}. NULL for NULL.
 *
 * The text is the value's: do not free it; it is gone when the value is freed.
 *
 * Threads: any, at any time.
 *
 * Pointers: `value` is NULL, or was given by this library and not freed.
 */
const char *raft_value_json(const raft_value *value);

/**
 * The revision at which the value was set: the index in the cluster's log, which only ever grows. 0 for
 * NULL.
 *
 * Threads: any, at any time.
 *
 * Pointers: `value` is NULL, or was given by this library and not freed.
 */
uint64_t raft_value_revision(const raft_value *value);

/**
 * Frees a value, and the content and JSON it lent. Does nothing with NULL.
 *
 * Threads: any, once no other uses the value any more.
 *
 * Pointers: `value` is NULL, or was given by this library and not freed; nobody uses it any more.
 */
void raft_value_free(raft_value *value);

/**
 * How many keys there are; 0 for NULL.
 *
 * Threads: any, at any time.
 *
 * Pointers: `keys` is NULL, or was given by this library and not freed.
 */
size_t raft_keys_count(const raft_keys *keys);

/**
 * The key at a position from 0, in the order of the keys' bytes: a NUL-terminated text in UTF-8. NULL past
 * the end, and for NULL.
 *
 * The text is the list's: do not free it; it is gone when the list is freed.
 *
 * Threads: any, at any time.
 *
 * Pointers: `keys` is NULL, or was given by this library and not freed.
 */
const char *raft_keys_at(const raft_keys *keys,
                         size_t position);

/**
 * The number of bytes of the key at a position, for keys that have a NUL in them; 0 past the end, and for
 * NULL.
 *
 * Threads: any, at any time.
 *
 * Pointers: `keys` is NULL, or was given by this library and not freed.
 */
size_t raft_keys_size_at(const raft_keys *keys,
                         size_t position);

/**
 * Frees a list of keys, and the texts it lent. Does nothing with NULL.
 *
 * Threads: any, once no other uses the list any more.
 *
 * Pointers: `keys` is NULL, or was given by this library and not freed; nobody uses it any more.
 */
void raft_keys_free(raft_keys *keys);

/**
 * Frees a text that a call handed over through a `char **`. Does nothing with NULL.
 *
 * Threads: any, once no other uses the text any more.
 *
 * Pointers: `text` is NULL, or was handed over by this library and not freed; nobody uses it any more.
 */
void raft_string_free(char *text);

/**
 * Has every line the nodes and clients of this process log, up to `max_level` (a raft_log_level), handed to
 * `callback`, in place of the one before. NULL for no more: without a callback nothing is logged. When it is
 * back, the callback before is not running and is not called again.
 *
 * RAFT_CONFLICT from within a callback; RAFT_TIMEOUT where one does not come back within 5 seconds.
 *
 * Threads: any, at any time, but not from within a callback.
 *
 * Pointers: `callback` is NULL, or may be called from any thread with `user_data` until it is replaced.
 */
raft_status raft_set_log_callback(raft_log_callback callback,
                                  void *user_data,
                                  int32_t max_level);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* RAFT_H */
