# SPDX-License-Identifier: Apache-2.0
# Unit tests of kernel/dev/.
DEV_FAKES := tests/unit/fake_core.c tests/unit/fake_mem.c tests/unit/fake_sched.c
DEV_VIRTIO := kernel/dev/virtio/virtq.c kernel/dev/virtio/virtio.c kernel/dev/virtio/virtio_blk.c \
	kernel/dev/virtio/diskq.c kernel/dev/bio_part.c kernel/dev/sd_name.c kernel/dev/virtio/virtio_scsi.c kernel/dev/virtio/scsi_disk.c kernel/dev/scsi.c \
	kernel/dev/virtio/virtio_net.c kernel/dev/virtio/nic_control.c kernel/dev/netdev.c kernel/dev/virtio/virtio_rng.c kernel/dev/virtio/virtio_balloon.c kernel/dev/virtio/virtio_console.c kernel/dev/virtio/console_port.c \
	kernel/dev/virtio/virtio_9p.c kernel/dev/p9_channel.c kernel/dev/stream.c kernel/dev/blkdev.c kernel/dev/gpt.c tests/unit/fake_virtio.c $(DEV_FAKES)
UNIT_virtq := kernel/dev/virtio/virtq.c tests/unit/fake_virtio.c $(DEV_FAKES)
UNIT_virtio_blk := $(DEV_VIRTIO)
UNIT_virtio_scsi := $(DEV_VIRTIO) tests/unit/fake_scsi.c
UNIT_virtio_console := $(DEV_VIRTIO)
UNIT_virtio_9p := $(DEV_VIRTIO)
UNIT_virtio_net := $(DEV_VIRTIO)
UNIT_gpt := kernel/dev/blkdev.c kernel/dev/gpt.c $(DEV_FAKES)
UNIT_acpi := kernel/dev/acpi.c kernel/dev/firmware.c kernel/dev/topology.c kernel/dev/fwcfg.c $(DEV_FAKES)
UNIT_rtc := kernel/dev/rtc.c
DEV_IOQ := kernel/dev/ioq.c kernel/dev/bio_part.c kernel/dev/blkdev.c kernel/dev/gpt.c tests/unit/fake_pci.c $(DEV_FAKES)
UNIT_e1000 := kernel/dev/e1000.c kernel/dev/netdev.c tests/unit/fake_pci.c $(DEV_FAKES)
UNIT_nvme := kernel/dev/nvme/nvme.c kernel/dev/nvme/nvme_queue.c kernel/dev/nvme/nvme_disk.c tests/unit/fake_nvme.c $(DEV_IOQ)
UNIT_ahci := $(patsubst %,kernel/dev/ahci/%.c,ahci ahci_port ahci_command ahci_disk) kernel/dev/ata.c kernel/dev/scsi.c kernel/dev/sd_name.c $(DEV_IOQ)
UNIT_ide := kernel/dev/ide.c kernel/dev/ata.c kernel/dev/scsi.c kernel/dev/sd_name.c $(DEV_IOQ)
