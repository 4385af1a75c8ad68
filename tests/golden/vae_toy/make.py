"""Makes the files beside it: a small AutoencoderKL with random weights, and what its decoder does.

Needs torch 2.9, diffusers 0.39 and safetensors: python make.py DIRECTORY
"""

import sys

import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file

torch.manual_seed(20211220)
vae = AutoencoderKL(
    block_out_channels=(16, 32),
    down_block_types=("DownEncoderBlock2D",) * 2,
    up_block_types=("UpDecoderBlock2D",) * 2,
    layers_per_block=1,
    norm_num_groups=8,
    sample_size=16,
)
with torch.no_grad():
    # Scales and shifts of the normalizations are random too, so that each of them shows.
    for name, weight in vae.named_parameters():
        if weight.dim() > 1:
            sharper = 1.5 if "to_q" in name or "to_k" in name else 1
            weight.normal_(0, sharper * weight[0].numel() ** -0.5)
        else:
            weight.normal_(1 if "norm" in name and name.endswith("weight") else 0, 0.2)
    vae.half().save_pretrained(sys.argv[1])

    vae.double()
    tensors = {}
    for name, shape in [("", (2, 4, 8, 8)), ("wide.", (1, 4, 4, 6))]:
        latents = torch.randn(shape).double()
        pictures = vae.decode(latents / vae.config.scaling_factor).sample
        tensors[f"{name}input"] = latents.permute(0, 2, 3, 1)
        tensors[f"{name}output"] = pictures.permute(0, 2, 3, 1)
        single = vae.float().decode((latents / vae.config.scaling_factor).float()).sample
        vae.double()
        print(name, "deviation of f32:", ((single - pictures).abs().max() / pictures.abs().max()).item())
        print(name, "pictures:", pictures.mean().item(), pictures.std().item(), pictures.min().item(), pictures.max().item())
    tensors = {name: tensor.float().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, f"{sys.argv[1]}/expected.safetensors")
