/* A FAKE for tests, never shipped: a PKCS#11 module that passes calls on to another one and spoils them on demand.
 *
 * Beside its own file (X.so) it reads X.so.real (path of the real module) and, at every call, X.so.faults (lines
 * "<function> delay <ms>", "<function> hang 0", "<function> return <CKR>", "sessions close <n>", "token removed 0"; "*" is
 * every function), and appends the name of each function to X.so.log. The order of the function list is that of PKCS#11
 * 2.40, section 6.6. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long UL;
typedef void *P;
typedef struct { unsigned char major, minor; P f[68]; } List;

enum { INITIALIZE = 0, FINALIZE = 1, SLOT_LIST = 4, TOKEN_INFO = 6, OPEN = 12, CLOSE = 13, CLOSE_ALL = 14, LOGIN = 18,
       ATTRIBUTES = 24, FIND_INIT = 26, FIND = 27, DECRYPT_INIT = 33, DECRYPT = 34, SIGN_INIT = 42, SIGN = 43,
       RANDOM = 64 };
enum { CKR_DEVICE_REMOVED = 0x32 };

static List real, ours;
static char base[4096];
static UL closed;

static void path(char *to, size_t size, const char *end) { snprintf(to, size, "%s.%s", base, end); }

static void rest(UL ms) {
    struct timespec time = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
    nanosleep(&time, NULL);
}

static void close_sessions(void) {
    UL slots[16], count = 16;
    if (((UL(*)(unsigned char, UL *, UL *))real.f[SLOT_LIST])(1, slots, &count) != 0) return;
    for (UL i = 0; i < count; i++) ((UL(*)(UL))real.f[CLOSE_ALL])(slots[i]);
}

/* What to answer instead of passing the call on; 0: pass it on. */
static UL spoiled(const char *name) {
    char file[4200], text[4096] = { 0 };
    path(file, sizeof file, "log");
    int log = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (log >= 0) {
        char line[64];
        int length = snprintf(line, sizeof line, "%s\n", name);
        if (write(log, line, (size_t)length) != length) abort();
        close(log);
    }
    path(file, sizeof file, "faults");
    int faults = open(file, O_RDONLY);
    if (faults < 0) return 0;
    ssize_t got = read(faults, text, sizeof text - 1);
    close(faults);
    if (got <= 0) return 0;
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char what[64], how[16];
        UL number = 0;
        if (sscanf(line, "%63s %15s %lu", what, how, &number) != 3) abort();
        if (!strcmp(what, "token")) return CKR_DEVICE_REMOVED;
        if (!strcmp(what, "sessions")) {
            if (closed != number) {
                closed = number;
                close_sessions();
            }
            continue;
        }
        if (strcmp(what, "*") && strcmp(what, name)) continue;
        if (!strcmp(how, "delay")) rest(number);
        else if (!strcmp(how, "hang")) for (;;) rest(1000);
        else return number;
    }
    return 0;
}

#define PASS(name, index, types, ...) do { \
    UL answer = spoiled(name); \
    return answer ? answer : ((UL(*) types)real.f[index])(__VA_ARGS__); } while (0)

static UL C_GetSlotList(unsigned char present, UL *list, UL *count) {
    UL answer = spoiled("C_GetSlotList");
    if (answer == CKR_DEVICE_REMOVED) {
        *count = 0;
        return 0;
    }
    return answer ? answer : ((UL(*)(unsigned char, UL *, UL *))real.f[SLOT_LIST])(present, list, count);
}
static UL C_GetTokenInfo(UL slot, P info) { PASS("C_GetTokenInfo", TOKEN_INFO, (UL, P), slot, info); }
static UL C_OpenSession(UL slot, UL flags, P app, P notify, UL *session) {
    PASS("C_OpenSession", OPEN, (UL, UL, P, P, UL *), slot, flags, app, notify, session);
}
static UL C_CloseSession(UL s) { PASS("C_CloseSession", CLOSE, (UL), s); }
static UL C_Login(UL s, UL user, P pin, UL length) { PASS("C_Login", LOGIN, (UL, UL, P, UL), s, user, pin, length); }
static UL C_GetAttributeValue(UL s, UL object, P list, UL count) {
    PASS("C_GetAttributeValue", ATTRIBUTES, (UL, UL, P, UL), s, object, list, count);
}
static UL C_FindObjectsInit(UL s, P list, UL count) { PASS("C_FindObjectsInit", FIND_INIT, (UL, P, UL), s, list, count); }
static UL C_FindObjects(UL s, UL *found, UL most, UL *count) {
    PASS("C_FindObjects", FIND, (UL, UL *, UL, UL *), s, found, most, count);
}
static UL C_DecryptInit(UL s, P mechanism, UL key) { PASS("C_DecryptInit", DECRYPT_INIT, (UL, P, UL), s, mechanism, key); }
static UL C_Decrypt(UL s, P in, UL length, P out, UL *got) {
    PASS("C_Decrypt", DECRYPT, (UL, P, UL, P, UL *), s, in, length, out, got);
}
static UL C_SignInit(UL s, P mechanism, UL key) { PASS("C_SignInit", SIGN_INIT, (UL, P, UL), s, mechanism, key); }
static UL C_Sign(UL s, P in, UL length, P out, UL *got) { PASS("C_Sign", SIGN, (UL, P, UL, P, UL *), s, in, length, out, got); }
static UL C_GenerateRandom(UL s, P out, UL length) { PASS("C_GenerateRandom", RANDOM, (UL, P, UL), s, out, length); }

UL C_GetFunctionList(List **list) {
    Dl_info self;
    char file[4200], name[4096] = { 0 };
    if (!dladdr((P)C_GetFunctionList, &self)) return 5;
    snprintf(base, sizeof base, "%s", self.dli_fname);
    path(file, sizeof file, "real");
    int fd = open(file, O_RDONLY);
    if (fd < 0 || read(fd, name, sizeof name - 1) <= 0) return 5;
    close(fd);
    P module = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    List *its = NULL;
    UL (*get)(List **) = module ? (UL(*)(List **))dlsym(module, "C_GetFunctionList") : NULL;
    if (!get || get(&its) != 0) return 5;
    real = ours = *its;
    ours.f[SLOT_LIST] = (P)C_GetSlotList;
    ours.f[TOKEN_INFO] = (P)C_GetTokenInfo;
    ours.f[OPEN] = (P)C_OpenSession;
    ours.f[CLOSE] = (P)C_CloseSession;
    ours.f[LOGIN] = (P)C_Login;
    ours.f[ATTRIBUTES] = (P)C_GetAttributeValue;
    ours.f[FIND_INIT] = (P)C_FindObjectsInit;
    ours.f[FIND] = (P)C_FindObjects;
    ours.f[DECRYPT_INIT] = (P)C_DecryptInit;
    ours.f[DECRYPT] = (P)C_Decrypt;
    ours.f[SIGN_INIT] = (P)C_SignInit;
    ours.f[SIGN] = (P)C_Sign;
    ours.f[RANDOM] = (P)C_GenerateRandom;
    *list = &ours;
    return 0;
}
