/* OpenWFP's extensions to the API. Include this after <fwpmu.h> or <fwpmk.h>. */
#ifndef OPENWFP_OPENWFP_H
#define OPENWFP_OPENWFP_H

#ifndef OPENWFP_RESULT
#error "include <fwpmu.h> or <fwpmk.h> before <openwfp.h>"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Counters of one direction of an SA context. */
typedef struct OPENWFP_SA_COUNTERS0_ {
    UINT64 bytes;
    UINT64 packets;
    UINT64 lastUsed; /* in seconds since 1970; 0 if never or unknown */
    UINT32 replayWindowDrops;
    UINT32 replayDrops;
    UINT32 integrityFailures;
} OPENWFP_SA_COUNTERS0;

/* Gets the current counters of an SA context, which Windows does not offer. Requires the right READ. */
OPENWFP_RESULT WINAPI OpenwfpSaContextGetCounters0(HANDLE engineHandle, UINT64 id, OPENWFP_SA_COUNTERS0 *inbound,
    OPENWFP_SA_COUNTERS0 *outbound);

/* What carries out a filter on this machine. */
typedef enum OPENWFP_EFFECT_KIND_ {
    OPENWFP_EFFECT_NONE = 0,     /* nothing: the filter is stored, but changes nothing about any packet */
    OPENWFP_EFFECT_KERNEL = 1,   /* policies of the kernel */
    OPENWFP_EFFECT_NFTABLES = 2, /* rules of nftables */
    OPENWFP_EFFECT_KEYING = 3    /* keying modules, which ask for the filters of its layer */
} OPENWFP_EFFECT_KIND;

typedef struct OPENWFP_FILTER_EFFECT0_ {
    OPENWFP_EFFECT_KIND kind;
    UINT32 numPolicies; /* kernel policies that carry it out */
    UINT32 policyIndex; /* index of the first one; 0 without any */
    char reason[244];   /* why it has no effect, in UTF-8, cut off if it is longer; empty otherwise */
} OPENWFP_FILTER_EFFECT0;

/* Gets what a filter changes on this machine, which Windows does not offer. Requires the right READ. */
OPENWFP_RESULT WINAPI OpenwfpFilterGetEffect0(HANDLE engineHandle, UINT64 filterId, OPENWFP_FILTER_EFFECT0 *effect);

/* Returns why the calling thread's last failed call failed, in UTF-8: the argument or rule that was violated, what to
 * do, and the code's name and number. Never null. Valid until the thread's next call that fails. */
const char *WINAPI OpenwfpLastErrorText(void);

/* Returns the library's version, such as "0.1.0". */
const char *WINAPI OpenwfpVersion(void);

#ifdef __cplusplus
}
#endif

#endif
