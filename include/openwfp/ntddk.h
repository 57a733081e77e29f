/* The basics of <ntddk.h> for code in the kernel-mode form of the API; it runs in user mode here. */
#ifndef OPENWFP_NTDDK_H
#define OPENWFP_NTDDK_H

#include "windows.h"

#include "ntstatus.h"

#define NT_SUCCESS(status) (((NTSTATUS)(status)) >= 0)

#endif
