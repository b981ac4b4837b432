/* gwsocket.h: a WebSocket server within a process.

   Link with -lgwsocket, or load libgwsocket.so. All functions may be called from any thread, and none waits for a client:
   the server has threads of its own, on which no code of the program's runs. Functions that fail return -1;
   gwsocket_error() has the reason. */

#ifndef GWSOCKET_H
#define GWSOCKET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Types of messages, and of events: those of strict mode. */
#define GWSOCKET_TEXT 1    /* UTF-8 */
#define GWSOCKET_BINARY 2
#define GWSOCKET_CLOSE 8   /* event: the client has gone; no data */
#define GWSOCKET_OPEN 0x10 /* event: a client has come; the data is its address, as text */

/* What a client did. */
typedef struct gwsocket_event {
    uint32_t client; /* from 1 */
    uint32_t type;   /* GWSOCKET_TEXT, GWSOCKET_BINARY, GWSOCKET_CLOSE, GWSOCKET_OPEN */
    const void *data;
    size_t length; /* bytes */
} gwsocket_event;

/* What a server has done since it was opened. */
typedef struct gwsocket_stats {
    uint64_t clients;           /* at the moment */
    uint64_t opened;            /* clients that have come */
    uint64_t closed;            /* clients that have gone */
    uint64_t refused;           /* connections that never became clients */
    uint64_t messages_in;       /* messages given to the server for clients */
    uint64_t bytes_in;          /* bytes of their payload */
    uint64_t messages_received; /* messages that clients have sent */
    uint64_t bytes_received;    /* bytes of their payload */
    uint64_t bytes_sent;        /* bytes written to clients, with headers of frames */
    uint64_t throttled;         /* times that a client fell so far behind that it was throttled */
    uint64_t dropped_clients;   /* clients dropped, as they did not keep up */
    uint64_t dropped_messages;  /* messages left out for clients that did not keep up */
    uint64_t dropped_events;    /* events that nobody read, and for which there was no room */
    uint64_t no_client;         /* messages for clients that are not there */
    uint64_t bad_input;         /* of pipes; 0 within a process */
} gwsocket_stats;

/* Opens a server, which listens when this returns, and gives its handle, above 0.

   options is a text as for the program gwsocket: "--port=7890 --addr=127.0.0.1 --origin=https://example.org
   --max-frame-size=65536 --slow=drop-oldest --ssl-cert=cert.pem --ssl-key=key.pem --unix-socket=/run/ticks --echo-mode
   --access-log=file --max-clients=100 --handshake-timeout=5 --ping-interval=30". NULL or "" is port 7890 of all interfaces.
   With --port=0 the system chooses: see gwsocket_port. */
int gwsocket_open(const char *options);

/* Closes all clients with code 1001 when they have got what was sent to them, and waits until they are gone, 3 seconds at
   most. The handle is good for nothing more. */
int gwsocket_close(int server);

/* The reason of this thread's last error, until its next one. */
const char *gwsocket_error(void);

/* The library's version. */
const char *gwsocket_version(void);

/* The TCP port that the server listens on; 0 for a UNIX socket. */
int gwsocket_port(int server);

/* Sends a message of `length` bytes to all clients, and gives how many there are. Messages reach every client in the order in
   which they were given. */
long gwsocket_broadcast(int server, int type, const void *data, size_t length);

/* The same for a string, as GWSOCKET_TEXT. */
long gwsocket_broadcast_text(int server, const char *text);

/* Sends a message to one client, in order with those to all. Gives 0. */
int gwsocket_send(int server, uint32_t client, int type, const void *data, size_t length);

/* Closes a client, or all of them with client 0, with a code (1000: normal) and a reason (NULL: none), when it has got what
   was sent to it before. Gives 0. */
int gwsocket_close_client(int server, uint32_t client, int code, const char *reason);

/* Waits up to `timeout` milliseconds (0: not at all; negative: for ever) for what a client does, and gives 1, or 0 when nothing
   happened. The data is valid until this thread's next call of gwsocket_next. */
int gwsocket_next(int server, gwsocket_event *event, int timeout);

/* Calls a function, on this thread, for each event that waits; for the first it waits as gwsocket_next does. Gives how many
   there were. The data is valid within the call. */
int gwsocket_dispatch(int server,
                      void (*callback)(uint32_t client, uint32_t type, const void *data, size_t length, void *context),
                      void *context, int timeout);

/* A descriptor that is readable while there are events, for select, poll, epoll and event loops on them. It is the server's:
   do not read from it, and do not close it. */
int gwsocket_fd(int server);

/* Tells what the server has done. Gives 0. */
int gwsocket_get_stats(int server, gwsocket_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
