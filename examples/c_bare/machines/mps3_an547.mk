# mps3-an547 of qemu-system-arm.
CORE := -mcpu=cortex-m55+nomve+nofp -mthumb -mfloat-abi=soft
SOURCES := startup cortex_m line uart_cmsdk self_test
CONSTANTS := TARGET='"mps3-an547"' UART_BASE=0x59303000u UART_INTERRUPT=33u CLOCK_HZ=32000000u
FLASH := ORIGIN = 0x10000000, LENGTH = 256K
RAM := ORIGIN = 0x30000000, LENGTH = 64K
