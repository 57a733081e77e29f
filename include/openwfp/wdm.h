/* See <ntddk.h>. */
#ifndef OPENWFP_WDM_H
#define OPENWFP_WDM_H

#include "ntddk.h"

#endif
