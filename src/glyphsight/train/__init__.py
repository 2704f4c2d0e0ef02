"""Fine-tuning: the transformers Trainer and PEFT on ASCII_Images, loss on the answer alone."""
