/* The parts of <ntddk.h> that code for the kernel-mode form of the API needs. It runs in user mode here. */
#ifndef OPENWFP_NTDDK_H
#define OPENWFP_NTDDK_H

#include "windows.h"

#include "ntstatus.h"

#define NT_SUCCESS(status) (((NTSTATUS)(status)) >= 0)

#endif
