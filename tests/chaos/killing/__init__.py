"""What kills a gateway at random points of all that it does, and audits afterwards what that did to its streams."""
