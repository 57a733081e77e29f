/* GUIDs. DEFINE_GUID declares a constant that the library defines. If <initguid.h> was included before, it defines the
 * constant in place. */
#ifndef OPENWFP_GUIDDEF_H
#define OPENWFP_GUIDDEF_H

#include <stdint.h>
#include <string.h>

typedef struct _GUID {
    uint32_t Data1;
    uint16_t Data2;
    uint16_t Data3;
    uint8_t Data4[8];
} GUID;

typedef GUID UUID;
typedef GUID IID;
typedef GUID CLSID;
typedef GUID *LPGUID;
typedef const GUID *LPCGUID;

#ifdef __cplusplus
typedef const GUID &REFGUID;

static inline int IsEqualGUID(REFGUID a, REFGUID b)
{
    return memcmp(&a, &b, sizeof(GUID)) == 0;
}

static inline bool operator==(const GUID &a, const GUID &b)
{
    return IsEqualGUID(a, b) != 0;
}

static inline bool operator!=(const GUID &a, const GUID &b)
{
    return !(a == b);
}
#else
typedef const GUID *REFGUID;

#define IsEqualGUID(a, b) (memcmp((a), (b), sizeof(GUID)) == 0)
#endif
#define InlineIsEqualGUID(a, b) IsEqualGUID(a, b)

#endif

/* Outside the include guard, because <initguid.h> may be included after <windows.h>. */
#undef DEFINE_GUID
#ifdef __cplusplus
#define OPENWFP_EXTERN_C extern "C"
#else
#define OPENWFP_EXTERN_C extern
#endif
#ifdef INITGUID
/* Weak, so that several files of one program may define the same constant. */
#ifdef __cplusplus
#define OPENWFP_GUID_LINKAGE extern "C" __attribute__((weak)) const GUID
#else
#define OPENWFP_GUID_LINKAGE __attribute__((weak)) const GUID
#endif
#define DEFINE_GUID(name, l, w1, w2, b1, b2, b3, b4, b5, b6, b7, b8)                                                  \
    OPENWFP_GUID_LINKAGE name;                                                                                         \
    OPENWFP_GUID_LINKAGE name = {l, w1, w2, {b1, b2, b3, b4, b5, b6, b7, b8}}
#else
#define DEFINE_GUID(name, l, w1, w2, b1, b2, b3, b4, b5, b6, b7, b8) OPENWFP_EXTERN_C const GUID name
#endif
