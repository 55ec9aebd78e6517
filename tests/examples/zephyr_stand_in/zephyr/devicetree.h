/* A board with one timer and one UART: -DSTAND_IN_MPS2 makes the timer a CMSDK
 * one. */
#pragma once
#define DT_NODELABEL(label) label
#define DT_CHOSEN(name) name
#define DT_REG_ADDR(node) 0x40000000u
#ifdef STAND_IN_MPS2
#define DT_NODE_HAS_COMPAT(node, compatible) 1
#else
#define DT_NODE_HAS_COMPAT(node, compatible) 0
#endif
