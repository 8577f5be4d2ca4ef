"""What only the pipeline `flights` needs: its columns, its rules, and learning from more rows than fit into memory."""
