"""Parts of the benchmarks: services, sample drawings, load generators and jobs. Scripts live one folder up."""
